"""Pages of the reference that are made from what the program itself uses, so that they cannot say anything else.

    python -m api.reference_pages

writes `rejections.md`, `facts.md`, `permissions.md` and `command-line.md` into `docs/reference`. What a fact says and
what leads to it stand here; a fact, a command or a code without its line stops the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from typer.main import get_command

from api.authorization import FREE, RULES
from api.cli import app
from api.commands.door import OUTAGES, TAMPERING, Exit
from api.problems import DOOR_PROBLEMS, PROBLEMS, shown_reason
from domain.commands import Command
from domain.decisions import DECISIONS
from domain.events import TOPICS
from domain.permissions import role_words
from domain.rejections import Reason
from domain.upcasts import UPCASTS
from ledger.mapper import SEALED_FIELDS
from ledger.outages import LogConflict, LogFull, LogLocked, LogOutage, LogUnavailable, SchemaMissing, SchemaUnknown

REFERENCE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
WIDTH: Final = 118
_MARK: Final = "<!-- Generated: python -m api.reference_pages -->"
# -- rejections --------------------------------------------------------------------------------------------------------

_CODE_RANGES: Final = (
    (
        "Results of the kernels",
        range(1, 100),
        "Such a refusal is a row of `results`, with this number as `code`. Rare commands can end with one, too.",
    ),
    (
        "Doors",
        range(100, 200),
        "Found before the command is decided. Such a request leaves no trace in the log.",
    ),
    (
        "The domain",
        range(200, 1000),
        "A rare command broke a rule of its area. Nothing happened, and the log holds no trace of it.",
    ),
)
_TAMPERING: Final = {
    "log_disagrees": "Doing the log again gives something else than the log says.",
    "log_entry_unreadable": "The bytes of an entry are no fact or block that this release knows.",
    "log_truncated": "Entries are missing, or the log does not end with a block.",
    "seal_broken": "A sealed text is not what was sealed for this place in the log.",
}
_OUTAGES: Final = {
    LogOutage.code: "The log cannot be used as asked.",
    LogUnavailable.code: "The database failed; what it kept of the last append is known when the log is opened anew.",
    LogFull.code: "The disk under the log has no room left.",
    LogLocked.code: "Another writer holds the log.",
    SchemaMissing.code: "There is no log here yet; `tallystick migrate` makes one.",
    SchemaUnknown.code: "Another release made the log; this one could misread it.",
    LogConflict.code: "A position or a version of a stream is taken: another writer was here first.",
    "writer_stopped": "The writer stopped before and accepts nothing until it is started anew.",
}


def rejections_page() -> str:
    """Every code with which the house says no."""
    return _page("Refusals and outages", _rejections())


def _rejections() -> Iterator[str]:
    yield (
        "A *refusal* is an expected no: nothing happened. It has a code, the field at fault, the rule, and the value "
        "found. The name and the number of a code are never changed and never reused."
    )
    listed = 0
    for title, numbers, said in _CODE_RANGES:
        reasons = [reason for reason in Reason if reason in numbers]
        listed += len(reasons)
        yield from ("", f"## {title}", "", said, "")
        yield from _table(
            ("number", "code", "meaning"), ((str(int(one)), f"`{one.code}`", one.meaning) for one in reasons)
        )
    assert listed == len(Reason), "a code is outside the ranges of this page"
    assert _codes(OUTAGES) <= set(_OUTAGES) and _codes(TAMPERING) <= set(_TAMPERING), "a code lacks its meaning"
    yield from ("", "## Answers over HTTP", "")
    yield (
        "A door answers with a problem (RFC 9457): `type` is `/problems/` and the code, and is a page. A refusal of "
        "the tables above has one of these statuses, every other one 409. What belongs to another party is answered "
        f"as if it did not exist: {_hidden()}."
    )
    yield ""
    statuses = sorted({PROBLEMS[reason.code].status for reason in Reason} - {409})
    yield from _table(
        ("status", "refusals"),
        (
            (
                str(status),
                ", ".join(f"`{reason.code}`" for reason in Reason if PROBLEMS[reason.code].status == status),
            )
            for status in statuses
        ),
    )
    yield ""
    yield "Some problems are the doors' own. Such a request leaves no trace in the log, either."
    yield ""
    yield from _table(
        ("status", "code", "meaning"),
        ((str(status), f"`{code}`", said) for code, (status, said) in DOOR_PROBLEMS.items()),
    )
    yield from ("", "## Outages", "")
    yield "The log is out of reach. The command line ends with exit code 1."
    yield ""
    yield from _table(("code", "meaning"), ((f"`{code}`", said) for code, said in _OUTAGES.items()))
    yield from ("", "## Tampering", "")
    yield "The log was altered, or this program is not the one that wrote it. The command line ends with exit code 3."
    yield ""
    yield from _table(("code", "meaning"), ((f"`{code}`", said) for code, said in _TAMPERING.items()))


def _hidden() -> str:
    """The refusals that a door shows as others."""
    shown = ((reason, shown_reason(reason)) for reason in Reason)
    return ", ".join(f"`{reason.code}` is shown as `{other.code}`" for reason, other in shown if reason is not other)


def _codes(errors: Iterable[type]) -> set[str]:
    """Codes of the errors and of what derives from them."""
    found: set[str] = set()
    for error in errors:
        found |= {str(vars(error)["code"])} if "code" in vars(error) else set()
        found |= _codes(error.__subclasses__())
    return found


# -- facts -------------------------------------------------------------------------------------------------------------

_TIME: Final = "time"
"""In place of a command: it happens because its time has come."""

_FACTS: Final[dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]]] = {
    "Parties": (
        ("PartyRegistered", "A party joins, with its kind, country and first roles.", ("RegisterParty",)),
        ("RoleGranted", "A party gets a role.", ("GrantRole",)),
        ("RoleRevoked", "A party loses a role.", ("RevokeRole",)),
        ("OwnershipDeclared", "A party is the beneficial owner of another.", ("DeclareOwnership",)),
        ("PartyFrozen", "A party may neither place orders nor ask for anything; it may cancel.", ("FreezeParty",)),
        ("PartyUnfrozen", "A party may act again.", ("UnfreezeParty",)),
    ),
    "Data sets": (
        ("DatasetRegistered", "A data set, with its provider, license and classification.", ("RegisterDataset",)),
        (
            "DatasetVersionRegistered",
            "A version of it, with its digest and what it was made from.",
            ("RegisterDatasetVersion",),
        ),
        ("DatasetVersionPublished", "From now on models may cite it.", ("PublishDatasetVersion",)),
        (
            "DatasetVersionWithdrawn",
            "It was withdrawn, paused, moved or limited; if withdrawn, no new model may use it.",
            ("WithdrawDatasetVersion",),
        ),
    ),
    "Models": (
        ("ModelRegistered", "A model and its developer.", ("RegisterModel",)),
        ("TrainingRunRecorded", "Which data set versions a training run used.", ("RecordTrainingRun",)),
        (
            "ModelVersionRegistered",
            "A version with its digest and its weighted lineage to data sets and base versions.",
            ("RegisterModelVersion",),
        ),
        ("ModelVersionPublished", "From now on licenses to it may be listed.", ("PublishModelVersion",)),
        (
            "ModelVersionWithdrawn",
            "Likewise; if withdrawn, it may no longer be listed or used as a base.",
            ("WithdrawModelVersion",),
        ),
    ),
    "Licensing": (("TermsAdopted", "Terms of a license, fixed for good.", ("AdoptTerms",)),),
    "Venue": (
        ("CurrencyRegistered", "A currency and the decimals of its minor unit.", ("RegisterCurrency",)),
        ("SeriesListed", "Units of one license to one model version can be traded.", ("ListSeries",)),
        ("SeriesHalted", "New orders of the series are refused; orders may be canceled.", ("HaltSeries",)),
        ("SeriesResumed", "The series trades again.", ("ResumeSeries",)),
        ("SeriesEnded", "The series never trades again; its open orders are canceled.", (_TIME,)),
        ("ListPriceRecorded", "A list price of the series, with its source.", ("RecordListPrice",)),
        ("FeeScheduleAdopted", "Maker and taker rates of every order accepted after it.", ("AdoptFeeSchedule",)),
        ("TaxRateSet", "Tax rate of buyers of a country.", ("SetTaxRate",)),
    ),
    "Payments": (
        ("DepositRecorded", "Why money came from outside.", ("RecordDeposit",)),
        ("WithdrawalRecorded", "Why money went to the outside.", ("RecordWithdrawal",)),
        ("SaleRefunded", "Why a primary sale, or a part of it, was taken back.", ("RefundSale",)),
    ),
    "Revenue": (
        ("AgreementSigned", "How revenue of a model is split from a stated time on.", ("SignAgreement",)),
        ("AgreementTookEffect", "That time has come.", (_TIME,)),
        ("WaterfallCompiled", "The payees of a series and their weights.", ("ListSeries", _TIME)),
        ("WaterfallCompilationFailed", "An agreement took effect, but the series keeps its waterfall.", (_TIME,)),
    ),
    "Governance": (
        ("HouseOpened", "First fact of a log: how large the pools of the house may grow.", ("OpenHouse",)),
        ("StateRootRecorded", "Hash of the whole state after a command, from the shadow.", ("RecordStateRoot",)),
    ),
}


def facts_page() -> str:
    """Every fact, what it says, and who may ask for what leads to it."""
    return _page("Facts", _facts())


def _facts() -> Iterator[str]:
    yield (
        "A fact is one rare thing that happened, in the past tense: an entry of the log with a topic of its own. The "
        "fields and bytes of each are in [the log format](log-format.md#facts). A fact follows from a command, if "
        "nothing speaks against it, or from time. The house itself may ask for everything; the role in each row is who "
        "else may. *House* means nobody else. A party that changes a data set, a model or a series must also own it."
    )
    topics = {topic.partition(".")[0]: (topic, cls) for topic, cls in TOPICS.items()}
    asked: dict[str, str] = {command.__name__: _who(command) for command in DECISIONS}
    shown: list[str] = []
    used: set[str] = set()
    for area, rows in _FACTS.items():
        yield from ("", f"## {area}", "")
        lines = []
        for name, said, causes in rows:
            topic, cls = topics[name]
            sealed = ", ".join(f"`{field}`" for field, _ in SEALED_FIELDS[cls])
            lines.append(
                (
                    f"`{topic}`",
                    f"{said} Sealed: {sealed}." if sealed else said,
                    " or ".join(cause if cause == _TIME else f"`{cause}`" for cause in causes),
                    "; ".join(asked[cause] for cause in causes if cause != _TIME),
                )
            )
            shown.append(name)
            used.update(cause for cause in causes if cause != _TIME)
        yield from _table(("topic", "it says", "follows from", "asked by"), lines)
    assert sorted(shown) == sorted(topics), set(shown) ^ set(topics)
    assert used == set(asked), used ^ set(asked)
    yield from ("", "## Older topics", "", "They are read, not written.", "")
    yield from _table(("topic", "read as"), ((f"`{old}`", f"`{new}`") for old, (new, _) in sorted(UPCASTS.items())))


def _who(command: type[Command]) -> str:
    roles, _ = DECISIONS[command]
    return role_words(roles) or "house"


# -- who may do what ---------------------------------------------------------------------------------------------------


def permissions_page() -> str:
    """Every action of the doors, and who may do it."""
    return _page("Who may do what", _permissions())


def _permissions() -> Iterator[str]:
    yield (
        "Every request over HTTP or a socket is one of these actions, and what is not in this table cannot be done. "
        "*Asked by* names the roles of which one must be held at that moment; a command may be stricter "
        "([facts](facts.md)). *Scope* is what an API key must be good for; a session is good for everything. Where "
        "*own only* says so, it is done to what belongs to the asking party, except by the roles named there; what is "
        "another's is answered as if it did not exist."
    )
    yield ""
    yield (
        "A party may hold several roles. An auditor reads everything and changes nothing, an operator cannot trade, "
        "and a frozen party reads, cancels and looks after its keys, nothing else. The house itself never asks through "
        "a door."
    )
    yield ""
    rows = []
    for action, rule in RULES.items():
        asked = "everybody" if rule.public else role_words(rule.roles) or "anybody signed in"
        others = f"yes, except {role_words(rule.see_all)}" if rule.see_all else "yes"
        scope = "" if rule.public else f"`{rule.scope}`"
        free = ", no rate limit" if action in FREE else ""
        rows.append((f"`{action}`", asked + free, scope, others if rule.own else ""))
    yield from _table(("action", "asked by", "scope", "own only"), rows)


# -- the command line --------------------------------------------------------------------------------------------------

_EXITS: Final = {
    Exit.OK: "done",
    Exit.FAILED: "a check failed, or the log is out of reach",
    Exit.USAGE: "the command was not understood",
    Exit.TAMPERING: "the log is not what it must be",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; what was done stays",
}


def command_line_page() -> str:
    """Every command of `tallystick` with its options."""
    return _page("The command line", _command_line())


def _command_line() -> Iterator[str]:
    root: Any = get_command(app)
    yield f"`tallystick`: {root.help} `./dev tallystick` runs it from a checkout."
    yield ""
    yield (
        "Results go to stdout, progress and errors to stderr. With `--json` stdout holds JSON alone. An error is one "
        "line `tallystick: CODE: MESSAGE` ([codes](rejections.md)); with `--json` also an object "
        '`{"error": {"code", "message"}}`.'
    )
    yield from ("", "## Exit codes", "")
    yield from _table(("code", "meaning"), ((str(int(code)), _EXITS[code]) for code in Exit))
    for words, command in _commands("tallystick", root):
        yield from ("", f"## {words}", "", *str(command.help).strip().splitlines(), "")
        yield from _table(("", "", "default"), map(_parameter, command.params))


def _commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in sorted(command.commands.items()):
        yield from _commands(f"{words} {name}", inner)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    is_argument = parameter.param_type_name == "argument"
    name = parameter.metavar if is_argument else parameter.opts[0]
    value = "" if is_argument or parameter.is_flag else f" {_value_of(parameter)}"
    default = parameter.default
    shown = "" if default is None or default is False else f"`{default}`"
    return f"`{name}{value}`", parameter.help, "required" if parameter.required else shown


def _value_of(parameter: Any) -> str:
    """What stands for the value of an option."""
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "\\|".join(member.value for member in kind)
    return "N" if kind is int else "TEXT"


# -- pages -------------------------------------------------------------------------------------------------------------

PAGES: Final[dict[str, Callable[[], str]]] = {
    "rejections.md": rejections_page,
    "facts.md": facts_page,
    "permissions.md": permissions_page,
    "command-line.md": command_line_page,
}


def _page(title: str, lines: Iterable[str]) -> str:
    wrapped = (line if line.startswith("|") else fill(line, WIDTH, break_on_hyphens=False) for line in lines)
    return "\n".join((_MARK, "", f"# {title}", "", *wrapped)).rstrip() + "\n"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        assert len(row) == len(heads), row
        yield f"| {' | '.join(row)} |"


def write_pages(folder: Path) -> None:
    """Write every page into the folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(REFERENCE)
