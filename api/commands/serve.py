"""`tallystick serve`: the doors, the writer and the follower process, until a signal says stop."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any, Final

import typer
from pydantic import ValidationError

from api.bootstrap import House, Places
from api.commands.door import Failed
from api.commands.stores import AUTH_FAILURES
from api.commands.warm import warm_up
from api.follower_keeper import FollowerKeeper
from api.logs import configure_logs, logger
from api.metrics import Metrics
from api.output import Output
from api.serving import SWITCH_SECONDS, AddressUnavailable, listen, open_doors, serve, url_of
from api.settings import Settings

SERVING_FAILURES: Final = (AddressUnavailable, *AUTH_FAILURES)


def settings_of(**given: Any) -> Settings:
    """Settings out of options and environment; an option that is None was not given. Raises BadParameter."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"--{str(name).replace('_', '-')}: " for name in first["loc"][:1])
        raise typer.BadParameter(place + first["msg"].removeprefix("Value error, ")) from error


def run(output: Output, where: Places, settings: Settings) -> None:
    configure_logs(settings.log_format, level=settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with closing(listen(settings)) as bound:
            warm_up(output)
            metrics = Metrics()
            with output.stage("open", "opening the log") as advance:
                house = House(where, on_entry=lambda at: advance(at, "entries read"), metrics=metrics)
            with (
                house,
                FollowerKeeper(where, house, log_format=settings.log_format) as keeper,
                open_doors(house, keeper, settings) as doors,
            ):
                url = url_of(settings, bound)

                def opened() -> None:
                    logger().info("doors_open", url=url, log=where.shown_url, position=house.store.position)
                    if output.as_json:
                        output.json({"url": url, "position": house.store.position})
                    else:
                        output.line(f"Serving {where.shown_url} at {url}")
                    sys.stdout.flush()

                serve(doors, bound, on_open=opened, keeper=keeper)
                logger().info("doors_closed")
            logger().info("stopped", position=house.store.position)
    except SERVING_FAILURES as error:
        raise Failed(error.code, str(error)) from error
