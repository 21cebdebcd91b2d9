"""`tallystick demo`: a market on real models with ninety days of history, from wherever its log ends, and then served,
with simulated traders who go on in real time.
"""

from __future__ import annotations

import shlex
import socket
import sys
import time
from contextlib import closing

from api.bootstrap import House, Places, ShadowFailed, generations
from api.commands.choices import DEFAULT_DATA
from api.commands.door import Failed
from api.commands.serve import SERVING_FAILURES, settings_of
from api.commands.warm import warm_up
from api.demo.guests import LOGINS, welcome
from api.demo.runner import LogOfAnotherHistory, StepRefused, open_house, play
from api.demo.summary import count, standing, verified
from api.demo.traders import Crowd, LiveTraders
from api.follower_keeper import FollowerKeeper
from api.logs import configure_logs
from api.metrics import Metrics
from api.output import Output
from api.serving import SWITCH_SECONDS, AddressUnavailable, listen, open_doors, serve, url_of
from api.settings import Settings
from api.shadow import ShadowLink
from domain.values import format_money
from projections.reads import Reads

RESUMES = "the log keeps what was done, and the same command goes on from there"
READERS_SECONDS_MAX = 300.0
"""How long the doors wait for the read models of the history; they open without them then."""
POLL_SECONDS = 0.1


def run(output: Output, where: Places, *, seed: int, days: int, once: bool, port: int | None) -> None:
    warm_up(output)
    try:
        if once:
            _run_once(output, where, seed, days)
        else:
            _serve(output, where, seed, days, port)
    except (LogOfAnotherHistory, ShadowFailed, StepRefused, *SERVING_FAILURES) as error:
        raise Failed(error.code, str(error)) from error


def _run_once(output: Output, where: Places, seed: int, days: int) -> None:
    with output.stage("open", "opening the log") as advance:
        house = open_house(where, lambda position: advance(position, "entries read"))
    with house, ShadowLink(where, on_failure=house.sequencer.stop) as house.shadow:
        repeated = _play(output, house, seed, days)
        with output.stage("count", "counting", house.store.position) as advance:
            found = count(house, lambda position: advance(position, ""))
        with output.stage("verify", "verifying", house.store.position) as advance:
            agrees = verified(house, lambda position: advance(position, ""))
    found |= {"verified": agrees, **_told(where, seed, days, repeated)}
    if output.as_json:
        output.json({**found, "seconds": output.seconds})
    else:
        output.facts("The demo market", found)


def _serve(output: Output, where: Places, seed: int, days: int, port: int | None) -> None:
    settings = settings_of(host="127.0.0.1", port=port, demo=True, log_format="console", log_level="warning")
    configure_logs(settings.log_format, level=settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    with closing(_listen(settings, wanted=port is not None)) as bound:
        url = url_of(settings, bound)
        with output.stage("open", "opening the log") as advance:
            house = open_house(where, lambda position: advance(position, "entries read"), Metrics())
        with house, FollowerKeeper(where, house, log_format=settings.log_format) as keeper:
            house.shadow = keeper
            repeated = _play(output, house, seed, days, may_go_on=True)
            _await_readers(output, where, house.store.position)
            with open_doors(house, keeper, settings) as doors:
                welcome(doors.auth, where.data, url)
                crowd = Crowd(seed, days)
                traders = LiveTraders(crowd, doors.writer, house.clock, seed=seed)
                offer = _offer(house, *crowd.favorite())
                found = {**standing(house), **_told(where, seed, days, repeated)}

                def opened() -> None:
                    traders.start()
                    _say(output, where, url, found, offer)

                try:
                    serve(doors, bound, on_open=opened, keeper=keeper)
                finally:
                    traders.close()
    output.note(f"stopped; {RESUMES}")


def _play(output: Output, house: House, seed: int, days: int, *, may_go_on: bool = False) -> int:
    with output.stage("history", f"{days} days of trading", days) as advance:
        repeated = play(house, seed, days=days, on_day=advance, may_go_on=may_go_on)
    if repeated:
        output.note(f"went on from an earlier run: {repeated:,} steps were in the log already")
    return repeated


def _told(where: Places, seed: int, days: int, repeated: int) -> dict[str, object]:
    return {
        "seed": seed,
        "days": days,
        "database": where.log_url.get_backend_name(),
        "steps_resumed": repeated,
    }


def _offer(house: House, series: int, price_ticks: int) -> tuple[str, str]:
    """(symbol, price) of what a visitor may buy."""
    listed = house.state.catalogue.series[series]
    exponent = house.state.catalogue.currencies[listed.currency].exponent
    return listed.symbol, format_money(price_ticks * listed.tick_minor, exponent)


def _listen(settings: Settings, *, wanted: bool) -> socket.socket:
    """At the usual port, or where that is taken and was not asked for, at any that is free."""
    try:
        return listen(settings)
    except AddressUnavailable:
        if wanted:
            raise
        return listen(settings.model_copy(update={"port": 0}))


def _await_readers(output: Output, where: Places, position: int) -> None:
    """Until the read models show the history: a page that lacks half of it would only puzzle."""
    until = time.monotonic() + READERS_SECONDS_MAX
    with (
        output.stage("readers", "folding it for readers", position) as advance,
        closing(generations(where)) as place,
        Reads(place) as reads,
    ):
        while reads.position() < position and time.monotonic() < until:
            advance(reads.position(), "positions")
            time.sleep(POLL_SECONDS)


def _say(output: Output, where: Places, url: str, found: dict[str, object], offer: tuple[str, str]) -> None:
    """Where to go, and three commands to try there."""
    if output.as_json:
        output.json({"url": url, **found, "seconds": output.seconds})
        sys.stdout.flush()
        return
    output.facts("The demo market", found)
    symbol, price = (shlex.quote(word) for word in offer)
    place = "" if where.data == DEFAULT_DATA else f" --data {shlex.quote(str(where.data))}"
    log = f" --log-url {shlex.quote(where.shown_url)}" if where.is_postgres else ""
    output.line(
        f"\nOpen {url}\n"
        f"Sign in by one click, as one of: {', '.join(LOGINS)}. The API is described at {url}/docs.\n"
        "\nTry in another terminal:\n\n"
        f"  ./dev tallystick order buy {symbol} 2 @ {price}{place}\n"
        f"  ./dev tallystick order list{place}\n"
        f"  ./dev tallystick report revenue-share --series {symbol}{place}{log}\n"
        "\nCtrl-C stops it; the same command goes on from there."
    )
    sys.stdout.flush()
