"""`tallystick demo`: a market on real models with ninety days of history, from wherever its log ends."""

from __future__ import annotations

from api.bootstrap import Places, ShadowFailed
from api.commands.door import Failed
from api.commands.warm import warm_up
from api.demo.runner import LogOfAnotherHistory, StepRefused, open_house, play
from api.demo.summary import count, verified
from api.output import Output
from api.shadow import ShadowLink

RESUMES = "the log keeps what was done, and the same command goes on from there"

NEXT_STEPS = (
    "tallystick verify                  do the whole history again and compare everything",
    "tallystick log --from 1 --to 20    the first entries of the log",
    "tallystick report revenue-share    who was paid what, from the log alone",
)


def run(output: Output, where: Places, *, seed: int, days: int, once: bool, throwaway: bool) -> None:
    warm_up(output)
    try:
        found = _run(output, where, seed, days)
    except (LogOfAnotherHistory, ShadowFailed, StepRefused) as error:
        raise Failed(error.code, str(error)) from error
    if output.as_json:
        output.json(found)
        return
    output.facts("The demo market", {name: value for name, value in found.items() if name != "seconds"})
    if not once and not throwaway:
        output.line(f"\nThe log is {where.shown_url}. Try next, with --data {where.data}, in a checkout by ./dev:\n")
        for step in NEXT_STEPS:
            output.line(f"  {step}")


def _run(output: Output, where: Places, seed: int, days: int) -> dict[str, object]:
    with output.stage("open", "opening the log") as advance:
        house = open_house(where, lambda position: advance(position, "entries read"))
    with house, ShadowLink(where, on_failure=house.sequencer.stop) as house.shadow:
        with output.stage("history", f"{days} days of trading", days) as advance:
            repeated = play(house, seed, days=days, on_day=advance)
        if repeated:
            output.note(f"went on from an earlier run: {repeated:,} steps were in the log already")
        with output.stage("count", "counting", house.store.position) as advance:
            found = count(house, lambda position: advance(position, ""))
        with output.stage("verify", "verifying", house.store.position) as advance:
            agrees = verified(house, lambda position: advance(position, ""))
    return {
        **found,
        "verified": agrees,
        "seed": seed,
        "days": days,
        "database": where.log_url.get_backend_name(),
        "steps_resumed": repeated,
        "seconds": output.seconds,
    }
