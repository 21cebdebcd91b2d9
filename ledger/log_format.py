"""The reference page of the log's format, made from the dtypes, topics and codes that the program uses.

The meanings stand here beside the layouts; a field, a code or a topic without one stops the generator.

    python -m ledger.log_format > docs/reference/log-format.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from enum import Enum, IntEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np

from domain.events import TOPICS, Envelope, Fact, Sealed
from domain.fields import Named
from domain.rejections import Reason
from domain.upcasts import UPCASTS
from domain.values import AccountKind, PostingCode, Role
from ledger.blocks import DIRECTORY, GENESIS_HASH, HEADER, LAYOUT_VERSION, MAGIC, SECTION_VERSION, TOPIC
from ledger.mapper import stream_of
from ledger.store import SHARD_STREAM
from ledger.tables import BLOCK_BYTES
from matching.layout import (
    FLAG_MARKET,
    FLAG_PRIMARY,
    FLAG_SYSTEM,
    LAYOUTS,
    PRIVATE,
    Code,
    Ending,
    Kind,
    Section,
    Side,
    TimeInForce,
)

_COMMAND: Final = "dense number of the row's command over the whole log, from 1"
_UNUSED: Final = "0"

HEADER_MEANINGS: Final = {
    "magic": f"`{MAGIC.hex(' ')}`: `TSFLOW`, carriage return, line feed",
    "layout": f"version of the header and the directory: {LAYOUT_VERSION}",
    "shard": "number of the shard: 0",
    "block": "number of the block in its shard, from 1; the version of its entry",
    "epoch": "how often a writer has opened the log, from 1",
    "first_at_ns": "`at_ns` of the first row of `commands`; house time if there is none",
    "last_at_ns": "`at_ns` of the last row of `commands`; house time if there is none",
    "first_command": "first command that starts in the block, or the next to come if none does",
    "active_command": "the command of an earlier block that this one goes on with, 0 if none",
    "continues": "1: the last command goes on in the next block; else 0",
    "sections": "rows of the directory",
    "running_hash": "hash over every earlier entry, see [the running hash](#the-running-hash)",
}
DIRECTORY_MEANINGS: Final = {
    "kind": "number of the section; each at most once, in rising order",
    "layout": f"version of the section's layout: {SECTION_VERSION}",
    "rows": "number of rows, at least 1: a section without rows is left out",
    "offset": "first byte of the section, from the start of the block",
}

SECTION_MEANINGS: Final = {
    Section.COMMANDS: "What was asked, in order: every input of the kernels.",
    Section.REQUESTS: "Idempotency of commands that came with a request id.",
    Section.CLIENT_IDS: "The name that a client gave its order: only new orders that have one.",
    Section.LEGS: "The movements that a `JOURNAL` command asks for.",
    Section.RESULTS: "What became of each command: one row when it ends.",
    Section.FILLS: "Trades between two orders; the orders tell the parties.",
    Section.ENDINGS: "Orders, or parts of them, that left the book without trading.",
    Section.POSTINGS: "Every movement of value: the amount leaves the debit account and reaches the credit account.",
    Section.GRANTS: "Changes of what a holder has of a series.",
    Section.ACCOUNTS: "Accounts that were opened.",
}
RESERVED: Final = {
    Section.ORDER_TERMS: "terms that few orders have: trigger, display, minimum, expiry, peg, group",
    Section.TRIGGERS: "stop orders that fired",
    Section.REPRICINGS: "pegged orders that moved",
    Section.PHASES: "changes of a series' phase",
    Section.PRICES: "reference prices",
    Section.UNCROSSES: "results of auctions",
}
"""Numbers that are kept for sections that no block holds yet."""

FIELD_MEANINGS: Final[dict[Section, dict[str, str]]] = {
    Section.COMMANDS: {
        "command": _COMMAND,
        "at_ns": "house time, nanoseconds since 1970-01-01T00:00Z; never decreases",
        "price": "limit in ticks, for a market order the protection price; price of the sale (refund)",
        "lots": "quantity in lots; lots to take off (reduce); lots returned (refund)",
        "target": "order number (cancel, reduce); waterfall version (refund); 1 if a state root is wanted (tick)",
        "account": "party that trades, or whose orders are canceled; owner of the account to open; buyer (refund)",
        "series": "series number, 0 for all (mass cancel); asset of the account to open",
        "actor": "party that sent it, 0 the house",
        "kind": "see [kinds](#kinds-of-command)",
        "side": "0 buy, 1 sell",
        "tif": "time in force: 0 good till canceled, 1 immediate or cancel",
        "flags": "bits, see [flags](#flags); account kind (open account)",
    },
    Section.REQUESTS: {
        "command": _COMMAND,
        "request_id": "what the door knows the request by",
        "body_hash": "what the request asked: the same id with another hash is refused",
    },
    Section.CLIENT_IDS: {
        "command": _COMMAND,
        "client_order_id": "1 to 36 characters of A-Z, a-z, 0-9, `_`, `-`",
        "unused": _UNUSED,
    },
    Section.LEGS: {
        "command": _COMMAND,
        "debit": "number of the account that gives",
        "credit": "number of the account that receives",
        "amount": "positive; minor units or lots, by the asset of the two accounts",
        "code": "see [posting codes](#posting-codes)",
        "unused": _UNUSED,
    },
    Section.RESULTS: {
        "command": _COMMAND,
        "order": "number of the order that was created or changed, 0 if none",
        "lots": "lots resting after the command; lots canceled (mass cancel)",
        "hold_minor": "held for the order after the command: minor units (buy) or lots (sell)",
        "code": "0 accepted, else see [result codes](#result-codes)",
        "fills": "number of fills; orders ended (mass cancel); number of the account (open account)",
    },
    Section.FILLS: {
        "command": _COMMAND,
        "maker": "number of the order that rested",
        "taker": "number of the order that came",
        "price": "ticks; that of the maker",
        "lots": "lots traded",
    },
    Section.ENDINGS: {
        "command": _COMMAND,
        "order": "number of the order",
        "lots": "lots that left the book",
        "reason": "see [endings](#endings)",
        "unused": _UNUSED,
    },
    Section.POSTINGS: {
        "command": _COMMAND,
        "debit": "number of the account that gives",
        "credit": "number of the account that receives",
        "amount": "positive; minor units or lots, by the asset of the two accounts",
        "code": "see [posting codes](#posting-codes)",
        "fill": "number of the fill within its command, of the leg within its journal, from 0",
    },
    Section.GRANTS: {
        "command": _COMMAND,
        "grant": "number of the grant, dense from 1; one per holder and series",
        "holder": "party that holds it",
        "series": "series number",
        "fill": "number of the fill within its command, from 0",
        "change": "lots gained or, negative, given",
        "lots": "lots held after it",
    },
    Section.ACCOUNTS: {
        "command": _COMMAND,
        "account": "number of the account, dense from 0",
        "owner": "party, 0 the house, −s the series s itself",
        "asset": "s > 0: lots of series s; −c: minor units of currency c",
        "kind": "see [kinds of account](#kinds-of-account)",
    },
}

KIND_MEANINGS: Final = {
    Kind.NEW: "a limit or market order",
    Kind.CANCEL: "take an order out of the book",
    Kind.REDUCE: "take lots off an order; it keeps its place",
    Kind.MASS_CANCEL: "take all orders of a party or a series out of the book",
    Kind.JOURNAL: "move value as its `legs` say, all of them or none",
    Kind.OPEN_ACCOUNT: "open an account",
    Kind.REFUND: "a negative sale",
    Kind.TICK: "time has passed",
}
SIDE_MEANINGS: Final = {Side.BUY: "buy", Side.SELL: "sell"}
TIME_IN_FORCE_MEANINGS: Final = {
    TimeInForce.GTC: "good till canceled: what does not trade rests",
    TimeInForce.IOC: "immediate or cancel: what does not trade at once is canceled",
}
FLAG_MEANINGS: Final = {
    FLAG_MARKET: ("MARKET", "market order; `price` is the worst at which it may trade"),
    FLAG_PRIMARY: ("PRIMARY", "sale by the issuer out of unissued supply"),
    FLAG_SYSTEM: ("SYSTEM", "inserted because time passed, asked for by nobody"),
}
ENDING_MEANINGS: Final = {
    Ending.USER: "canceled by its owner",
    Ending.MASS: "canceled by a mass cancel",
    Ending.IOC: "rest of an immediate-or-cancel order",
    Ending.NO_LIQUIDITY: "rest of a market order",
    Ending.REDUCED: "taken off by its owner",
    Ending.SERIES_ENDED: "the series ended",
}
POSTING_MEANINGS: Final = {
    PostingCode.SALE: "the buyer pays the notional of a fill",
    PostingCode.MAKER_FEE: "fee of the maker; debit and credit change places for a rebate",
    PostingCode.TAKER_FEE: "fee of the taker",
    PostingCode.TAX: "tax on the buyer",
    PostingCode.SHARE: "share of a payee in the revenue of a series",
    PostingCode.DELIVERY: "the seller delivers lots",
    PostingCode.MINT: "the series issues lots",
    PostingCode.ROYALTY: "royalty of a resale, to be shared",
    PostingCode.DEPOSIT: "money from outside",
    PostingCode.WITHDRAWAL: "money to the outside",
    PostingCode.REFUND: "money back to the buyer",
    PostingCode.RECLAIM: "what a payee gives back for a refund",
    PostingCode.RETURN: "lots that a refund takes back",
    PostingCode.RECEIVABLE: "what a payee comes to owe for a refund",
    PostingCode.TRANSFER: "from one account to another by order of the house",
    PostingCode.FLUSH: "what is left in the suspense of an ended series",
    PostingCode.RECOVERY: "what an owner owes is taken from what it withdraws",
}
ACCOUNT_MEANINGS: Final = {
    AccountKind.AVAILABLE: "what its owner may spend; payees are paid here too",
    AccountKind.IN_USE: "license units that were activated",
    AccountKind.RETIRED: "license units that were returned or have ended",
    AccountKind.SUSPENSE: "revenue of a series that is no whole minor unit of a payee yet",
    AccountKind.FEE_REVENUE: "trading fees",
    AccountKind.PLATFORM_REVENUE: "what the platform earns",
    AccountKind.TAX_COLLECTED: "tax that the house owes the state",
    AccountKind.OUTSIDE: "counterpart of money that came or went; may be below zero",
    AccountKind.ISSUANCE: "counterpart of issued units; may be below zero",
    AccountKind.RECEIVABLE: "what its owner owes; may be below zero",
}

_INTRODUCTION: Final = f"""
The log is a table of entries `(position, stream, version, topic, state)`. Positions run from 1 without a gap; in each
stream versions run from 1 without a gap. `state` is a *fact* or a *flow block*, by its topic. The last entry of every
append is a block, in stream `{SHARD_STREAM}` with its number as version: of two writers the second finds that version
taken and stops. That is the fence.

All integers are signed and little-endian; an `i8` has eight bytes. Texts are filled up with zero bytes. A layout never
changes: a changed one gets the next version, and the old one stays readable. What a command does is in
[execution](execution.md).
"""

_BLOCK: Final = f"""
Topic `{TOPIC}`. A block is a header, a directory with a row for each of its sections, and the sections, without
anything between or after them; it has at most {BLOCK_BYTES >> 20} MiB. The address of a row is (position, section,
index from 0). Columns marked *private* tell who acted; the proof of a row can hide them.
"""

_RUNNING_HASH: Final = f"""
`hash 0` is {len(GENESIS_HASH)} zero bytes. For the entry at position *n*, with texts as UTF-8 and integers of as many
bytes as the brackets say:

```text
hash n = SHA-256( hash n-1 ‖ position [8] ‖ version [8] ‖ length of stream [4] ‖ stream
                  ‖ length of topic [4] ‖ topic ‖ SHA-256(state) )
```

The block at position *n* holds `hash n-1`, so it seals everything before it. The last block is sealed by the next one,
or by whoever writes its hash down.
"""

_FACTS: Final = """
The state of a fact is `{"envelope":{…},"fact":{…}}` in canonical JSON, UTF-8, without white space. One value has
exactly one encoding; whatever does not encode back to the same bytes is refused.

- Objects have their fields in the order given below; a field that is absent is left out, there is no null.
- Integers are decimal, within 64 bits with a sign. There are no floats.
- Texts escape only `"`, `\\` and characters below U+0020, and those in the shortest way: `\\b \\f \\n \\r \\t`, else
  `\\u00xx` in lower case. Unpaired surrogates are refused.
- Bytes are lower-case hexadecimal text.
- Enumerations are their value; sets of roles are the sum of their bits.
- Tuples and lists are arrays.
- A *sealed* field is personal or free text, encrypted by AES-256-GCM under the key of the subject named with it, and
  written as the hexadecimal of nonce (12 bytes), ciphertext and tag (16 bytes). It is bound to its stream, version and
  field. Nothing that is decided depends on it.
"""


def log_format_page() -> str:
    """The page in Markdown. Raises AssertionError if anything lacks its meaning."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield "<!-- Generated: python -m ledger.log_format > docs/reference/log-format.md -->"
    yield from ("", "# The log format", _INTRODUCTION)
    yield from ("## Flow blocks", _BLOCK)
    yield from _layout("### Header", HEADER, HEADER_MEANINGS)
    yield from _layout("### Directory", DIRECTORY, DIRECTORY_MEANINGS)
    yield "### Sections"
    yield ""
    yield from _table(("number", "section", "bytes per row"), _sections())
    for section, dtype in LAYOUTS.items():
        heading = f"### {section.value}: {section.name.lower()}"
        said = SECTION_MEANINGS[section]
        yield from _layout(heading, dtype, FIELD_MEANINGS[section], said, PRIVATE.get(section, ()))
    yield "## Codes of blocks"
    yield ""
    yield from _codes("Kinds of command", Kind, KIND_MEANINGS)
    yield from _codes("Sides", Side, SIDE_MEANINGS)
    yield from _codes("Times in force", TimeInForce, TIME_IN_FORCE_MEANINGS)
    yield "### Flags"
    yield ""
    yield from _table(
        ("bit", "name", "meaning"), [(str(bit), f"`{name}`", said) for bit, (name, said) in FLAG_MEANINGS.items()]
    )
    yield from _codes("Result codes", Code, {code: _meaning_of(code) for code in Code})
    yield from _codes("Endings", Ending, ENDING_MEANINGS)
    yield from _codes("Posting codes", PostingCode, POSTING_MEANINGS)
    yield from _codes("Kinds of account", AccountKind, ACCOUNT_MEANINGS)
    yield from ("## The running hash", _RUNNING_HASH)
    yield from ("## Facts", _FACTS)
    yield f"The envelope: {_fields(Envelope)}."
    yield ""
    yield "A question mark follows the type of a field that may be absent."
    yield ""
    yield from _table(("topic", "stream", "fields of the fact"), _topics())
    yield "Topics that are only read, and what they are lifted to:"
    yield ""
    yield from _table(("topic", "read as"), [(f"`{old}`", f"`{new}`") for old, (new, _) in sorted(UPCASTS.items())])
    yield "### Values of enumerations"
    yield ""
    yield from _table(("type", "values"), _enumerations())


# -- blocks ------------------------------------------------------------------------------------------------------------


def _layout(
    heading: str, dtype: np.dtype[np.void], meanings: Mapping[str, str], said: str = "", private: Iterable[str] = ()
) -> Iterator[str]:
    members = dtype.fields
    assert members is not None and set(meanings) == set(members), (heading, set(meanings) ^ set(members or ()))
    yield heading
    yield ""
    yield f"{said} {dtype.itemsize} bytes.".lstrip()
    yield ""
    rows = []
    for name, (kind, offset, *_) in members.items():
        mark = "private" if name in private else ""
        rows.append((f"`{name}`", _type_of_column(kind), str(offset), mark, meanings[name]))
    yield from _table(("field", "type", "offset", "", "meaning"), rows)


def _type_of_column(kind: np.dtype[Any]) -> str:
    match kind.kind:
        case "i":
            return f"i{kind.itemsize}"
        case "S":
            return f"text[{kind.itemsize}]"
        case _:
            return f"bytes[{kind.itemsize}]"


def _sections() -> Iterator[tuple[str, str, str]]:
    assert set(RESERVED) == set(Section) - set(LAYOUTS), "each section has a layout or is reserved"
    for section in Section:
        name = section.name.lower()
        if section in LAYOUTS:
            yield str(section.value), f"[`{name}`](#{section.value}-{name})", str(LAYOUTS[section].itemsize)
        else:
            yield str(section.value), f"`{name}`: reserved for {RESERVED[section]}", ""


def _codes(heading: str, codes: type[IntEnum], meanings: Mapping[Any, str]) -> Iterator[str]:
    assert set(meanings) == set(codes), (heading, set(meanings) ^ set(codes))
    yield f"### {heading}"
    yield ""
    yield from _table(
        ("number", "name", "meaning"), [(str(code.value), f"`{code.name}`", meanings[code]) for code in codes]
    )


def _meaning_of(code: Code) -> str:
    if code == Code.OK:
        return "accepted"
    reason = Reason(code)
    assert reason.name == code.name, (reason, code)
    return reason.meaning


# -- facts -------------------------------------------------------------------------------------------------------------


def _topics() -> Iterator[tuple[str, str, str]]:
    for topic, cls in sorted(TOPICS.items()):
        yield f"`{topic}`", f"`{_stream(cls)}`", _fields(cls)


def _stream(cls: type[Fact]) -> str:
    """The stream of a fact whose numbers are the names of its fields."""
    fact = object.__new__(cls)
    for field in fields(cls):  # type: ignore[arg-type]
        object.__setattr__(fact, field.name, f"<{field.name}>")
    return stream_of(fact)


def _fields(cls: Any) -> str:
    hints = get_type_hints(cls, include_extras=True)
    shown = []
    for field in fields(cls):
        subject = field.metadata.get("sealed_for")
        text, optional = _type_of_field(hints[field.name])
        text = f"sealed for `{subject}`" if subject else text
        shown.append(f"`{field.name}` {text}{'?' if optional else ''}")
    return ", ".join(shown)


def _type_of_field(hint: Any) -> tuple[str, bool]:
    """How a type is written on the page, and whether the field may be absent."""
    bare = _bare(hint)
    if get_origin(bare) in (Union, UnionType):
        present = [item for item in get_args(bare) if item is not NoneType]
        optional = len(present) < len(get_args(bare))
        return _type_of_item(str if Sealed in present else present[0]), optional
    return _type_of_item(bare), False


def _type_of_item(hint: Any) -> str:
    bare = _bare(hint)
    if get_origin(bare) is tuple:
        items = get_args(bare)
        if items[-1] is Ellipsis:
            return f"list of {_type_of_item(items[0])}"
        return f"({', '.join(map(_named_item, items))})"
    plain = {int: "integer", bool: "bool", str: "text", bytes: "bytes"}
    return plain[bare] if bare in plain else str(bare.__name__)


def _named_item(hint: Any) -> str:
    names = [mark.name for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Named)]
    return " ".join([*names, _type_of_item(hint)])


def _bare(hint: Any) -> Any:
    return _bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _enumerations() -> Iterator[tuple[str, str]]:
    found: dict[str, type[Enum]] = {}
    for cls in TOPICS.values():
        for hint in get_type_hints(cls, include_extras=True).values():
            found.update((kind.__name__, kind) for kind in _enumerations_in(hint))
    for name, kind in sorted(found.items()):
        if kind is Reason:
            yield name, "the numbers of the domain's refusals; those below 100 are the result codes"
        elif kind is Role:
            yield name, "bits: " + ", ".join(f"{role.value} {role.name}" for role in Role)
        else:
            yield name, ", ".join(f"`{member.value}`" for member in kind)


def _enumerations_in(hint: Any) -> Iterator[type[Enum]]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        yield hint
    for item in get_args(hint):
        yield from _enumerations_in(item)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        assert len(row) == len(heads), row
        yield f"| {' | '.join(row)} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(log_format_page())
