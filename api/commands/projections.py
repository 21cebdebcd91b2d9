"""`tallystick projections`: build the read models anew, or see how far they have come."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from api.bootstrap import Places, generations, key_store, log_for_reading
from api.commands.door import Failed
from api.commands.warm import warm_up
from api.output import Output
from projections.database import GenerationMissing
from projections.models import read_models
from projections.rebuild import RebuildDiffers, rebuild
from projections.runner import made_by, versions_of


def run_rebuild(output: Output, where: Places, *, check: bool) -> None:
    """Build a new generation and swap it in; whoever serves goes on with it."""
    with log_for_reading(where) as log, closing(generations(where)) as place:
        warm_up(output)
        with output.stage("rebuild", "rebuilding", log.max_position()) as advance:
            try:
                rebuilt = rebuild(
                    log,
                    place,
                    read_models,
                    key_store(where).unseal,
                    check=check,
                    on_progress=lambda what, position, _end: advance(position, what),
                )
            except RebuildDiffers as error:
                raise Failed(error.code, str(error)) from error
    found: dict[str, Any] = {"generation": rebuilt.generation, "position": rebuilt.position, "hash": rebuilt.hash}
    if output.as_json:
        output.json({**found, "seconds": output.seconds})
    else:
        title = (
            "The read models are what an independent fold gives" if check else "The read models are built, unchecked"
        )
        output.facts(title, {name: value for name, value in found.items() if value is not None})


def run_status(output: Output, where: Places) -> None:
    """All generations, and how far each is behind the log."""
    with log_for_reading(where) as log, closing(generations(where)) as place:
        end = log.max_position()
        current = place.current()
        found = [_of_generation(place, number, current, end) for number in place.all()]
    if output.as_json:
        output.json({"log_position": end, "current": current, "generations": found})
    elif found:
        columns = ("generation", "current", "position", "lag", "usable")
        output.table("", columns, [[row[name] for name in columns] for row in found])
    else:
        output.line("no read models yet")


def _of_generation(place: Any, number: int, current: int | None, end: int) -> dict[str, Any]:
    """Usable: made by the read models of this program."""
    try:
        with place.open(number, read_only=True) as database:
            position = database.position()
            usable = made_by(database) == versions_of(read_models())
    except GenerationMissing:  # Dropped in the meantime.
        position, usable = 0, False
    return {
        "generation": number,
        "current": number == current,
        "position": position,
        "lag": end - position,
        "usable": usable,
    }
