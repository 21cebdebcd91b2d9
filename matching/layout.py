"""Every fixed-width record and code that the kernels and the log share, and the one `@kernel` decorator.

A *section* of a flow block is an array of one of these dtypes. All fields are signed little-endian integers (or raw
bytes), because an unsigned 8-byte field added to a signed one is a float in plain numpy. Each row starts with
`command`, the dense number of its command over the whole log, so that nothing in a row is local to its block.

Layouts never change: a changed layout gets the next version number, and readers keep the old one.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.dispatcher import Dispatcher

NONE = -1
"""No slot, no account, no series: what an integer link holds when it points nowhere."""

PPM = 1_000_000
PPB = 1_000_000_000
NOTIONAL_MAX = 9_000_000_000_000
"""Notional of one order stays below this many minor units, so that notional × ppm fits in 63 bits."""
PAYEES_MAX = 64
"""A series has at most this many payees, which makes the output of one fill a constant."""


class Kind(IntEnum):
    """What a row of `commands` asks for."""

    NEW = 1
    CANCEL = 2
    REDUCE = 3
    MASS_CANCEL = 4
    JOURNAL = 5
    OPEN_ACCOUNT = 6
    REFUND = 7
    TICK = 8


class Side(IntEnum):
    BUY = 0
    SELL = 1


class TimeInForce(IntEnum):
    GTC = 0
    IOC = 1


FLAG_MARKET = 1
"""A market order: `price` is its protection, the worst price at which it may trade."""
FLAG_PRIMARY = 2
"""A sale by the issuer out of unissued supply: each fill mints, and its proceeds run through the waterfall."""
FLAG_SYSTEM = 4
"""Inserted by the sequencer because time passed; no party asked for it."""


class Phase(IntEnum):
    """Whether a series trades."""

    OPEN = 1
    HALTED = 2
    ENDED = 3


class Code(IntEnum):
    """Result of a command; the numbers are those of `domain.rejections.Reason`, 0 is success."""

    OK = 0
    UNKNOWN_SERIES = 1
    SERIES_HALTED = 2
    SERIES_ENDED = 3
    UNKNOWN_PARTY = 4
    ROLE_REQUIRED = 5
    PARTY_FROZEN = 6
    PRICE_OUT_OF_RANGE = 7
    LOTS_OUT_OF_RANGE = 8
    NOTIONAL_TOO_LARGE = 9
    INSUFFICIENT_FUNDS = 10
    INSUFFICIENT_UNITS = 11
    SUPPLY_EXHAUSTED = 12
    UNKNOWN_ORDER = 13
    ORDER_NOT_OPEN = 14
    NOT_YOUR_ORDER = 15
    CAPACITY_EXHAUSTED = 16
    PROTECTION_REQUIRED = 17
    UNKNOWN_ACCOUNT = 18
    JOURNAL_UNBALANCED = 19
    AMOUNT_OUT_OF_RANGE = 20
    FLOOR_BREACHED = 21
    UNKNOWN_KIND = 22
    NOT_THE_ISSUER = 23
    RESALE_NOT_ALLOWED = 24
    NO_WATERFALL = 25
    ACCOUNT_CLOSED = 26
    REFUND_EXCEEDS_SALE = 27
    UNITS_NOT_RETURNABLE = 28
    CLIENT_ORDER_ID_TAKEN = 29
    COMMAND_MALFORMED = 30
    LOTS_NOT_REDUCIBLE = 31


class Ending(IntEnum):
    """Why an order, or a part of it, left the book without trading."""

    USER = 1
    MASS = 2
    IOC = 3
    NO_LIQUIDITY = 4
    REDUCED = 5
    SERIES_ENDED = 6


class Section(IntEnum):
    """Kind of a section in a flow block. Numbers are never reused; gaps are places kept for the rulebook to come."""

    COMMANDS = 1
    ORDER_TERMS = 2
    REQUESTS = 3
    CLIENT_IDS = 4
    LEGS = 5
    RESULTS = 6
    FILLS = 7
    ENDINGS = 8
    TRIGGERS = 9
    REPRICINGS = 10
    PHASES = 11
    POSTINGS = 12
    GRANTS = 13
    PRICES = 14
    UNCROSSES = 15
    ACCOUNTS = 16


COMMAND = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("price", "<i8"),  # ticks; limit or protection
        ("lots", "<i8"),
        ("target", "<i8"),  # order number (cancel, reduce); waterfall version (refund)
        ("account", "<i4"),  # the party that trades; owner of the account to open
        ("series", "<i4"),  # series number; asset of the account to open
        ("actor", "<i4"),  # the party that sent it
        ("kind", "i1"),
        ("side", "i1"),
        ("tif", "i1"),
        ("flags", "i1"),  # account kind, for OPEN_ACCOUNT
    ]
)
REQUEST = np.dtype([("command", "<i8"), ("request_id", "V16"), ("body_hash", "V16")])
CLIENT_ID = np.dtype([("command", "<i8"), ("client_order_id", "S36"), ("unused", "<i4")])
LEG = np.dtype(
    [
        ("command", "<i8"),
        ("debit", "<i4"),
        ("credit", "<i4"),
        ("amount", "<i8"),
        ("code", "<i4"),
        ("unused", "<i4"),
    ]
)
RESULT = np.dtype(
    [
        ("command", "<i8"),
        ("order", "<i8"),  # number of the order that was created or changed, 0 if none
        ("lots", "<i8"),  # lots resting after the command; lots canceled for a mass cancel
        ("hold_minor", "<i8"),  # what is held for the order after the command: minor units (buy) or lots (sell)
        ("code", "<i4"),
        ("fills", "<i4"),  # fills of a new order; orders ended by a mass cancel; account opened
    ]
)
FILL = np.dtype([("command", "<i8"), ("maker", "<i8"), ("taker", "<i8"), ("price", "<i8"), ("lots", "<i8")])
ENDING = np.dtype([("command", "<i8"), ("order", "<i8"), ("lots", "<i8"), ("reason", "<i4"), ("unused", "<i4")])
POSTING = np.dtype(
    [
        ("command", "<i8"),
        ("debit", "<i4"),
        ("credit", "<i4"),
        ("amount", "<i8"),
        ("code", "<i4"),
        ("fill", "<i4"),  # number of the fill within its command, from 0; the leg's number for a journal
    ]
)
GRANT = np.dtype(
    [
        ("command", "<i8"),
        ("grant", "<i4"),
        ("holder", "<i4"),
        ("series", "<i4"),
        ("fill", "<i4"),
        ("change", "<i8"),
        ("lots", "<i8"),
    ]
)
ACCOUNT_OPENED = np.dtype([("command", "<i8"), ("account", "<i4"), ("owner", "<i4"), ("asset", "<i4"), ("kind", "<i4")])

LAYOUTS: dict[Section, np.dtype[np.void]] = {
    Section.COMMANDS: COMMAND,
    Section.REQUESTS: REQUEST,
    Section.CLIENT_IDS: CLIENT_ID,
    Section.LEGS: LEG,
    Section.RESULTS: RESULT,
    Section.FILLS: FILL,
    Section.ENDINGS: ENDING,
    Section.POSTINGS: POSTING,
    Section.GRANTS: GRANT,
    Section.ACCOUNTS: ACCOUNT_OPENED,
}
"""Layout version 1 of each section that is written today."""

PRIVATE: dict[Section, tuple[str, ...]] = {
    Section.COMMANDS: ("account", "actor"),
    Section.REQUESTS: ("request_id", "body_hash"),
    Section.CLIENT_IDS: ("client_order_id",),
    Section.LEGS: ("debit", "credit"),
    Section.POSTINGS: ("debit", "credit"),
    Section.GRANTS: ("holder",),
    Section.ACCOUNTS: ("owner",),
}
"""Columns that tell who acted. A row's proof hashes them behind a salt, so that it can be shown without them."""


LEVEL = np.dtype(
    [
        ("price", "<i8"),
        ("lots", "<i8"),  # sum over its orders
        ("head", "<i4"),  # first order in time
        ("tail", "<i4"),
        ("count", "<i4"),
        ("series", "<i4"),
        ("side", "<i4"),
        ("above", "<i4"),  # next higher and next lower price of the side; `above` links the free slots
        ("below", "<i4"),
        ("parent", "<i4"),  # tree of the side, by price
        ("lower", "<i4"),
        ("higher", "<i4"),
        ("lean", "<i4"),  # height of the lower subtree minus that of the higher one
        ("unused", "<i4"),
    ]
)
"""One cache line."""
ORDER = np.dtype(
    [
        ("number", "<i8"),  # 0 while the slot is free
        ("lots", "<i8"),  # lots left
        ("level", "<i4"),
        ("ahead", "<i4"),  # neighbors in the queue of the level; `behind` links the free slots
        ("behind", "<i4"),
        ("party", "<i4"),
        # Of whoever holds and settles; the book only clears them with the rest of the row.
        ("hold", "<i8"),
        ("earlier", "<i4"),  # neighbors among the open orders of the party
        ("later", "<i4"),
        ("series", "<i4"),
        ("cash", "<i4"),
        ("units", "<i4"),
        ("side", "<i2"),
        ("primary", "<i2"),
    ]
)
"""One cache line: whatever touches an order touches most of it."""
ORDER_INDEX = np.dtype([("number", "<i8"), ("slot", "<i8")])
BOOK_TALLY = np.dtype(
    [
        ("next_order", "<i8"),
        ("open_orders", "<i8"),
        ("orders_top", "<i8"),  # slots ever used; beyond them the pool is untouched memory
        ("orders_free", "<i8"),  # head of the free list
        ("levels_open", "<i8"),
        ("levels_top", "<i8"),
        ("levels_free", "<i8"),
    ]
)


CACHE_LINE_BYTES = 64


def zeros(count: int, layout: np.dtype[Any], columns: tuple[int, ...] = ()) -> Any:
    """An array of zeros that begins at a cache line, so that a row of 64 bytes never lies on two."""
    size = count * layout.itemsize * math.prod(columns)
    memory = np.zeros(size + CACHE_LINE_BYTES, np.uint8)
    first = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[first : first + size].view(layout).reshape(count, *columns)


def copied(rows: Any) -> Any:
    """A copy of records, by their bytes: numpy copies them field by field, which for a few takes ten times longer."""
    return np.frombuffer(bytearray(rows.tobytes()), rows.dtype)


class Book(NamedTuple):
    """Every open order of every series. Arrays are owned by whoever calls the kernels; kernels allocate nothing."""

    levels: np.ndarray[Any, np.dtype[np.void]]
    """[levels_max] of LEVEL."""
    orders: np.ndarray[Any, np.dtype[np.void]]
    """[orders_max] of ORDER."""
    recent: np.ndarray[Any, np.dtype[np.int32]]
    """[power of two]: slot of the open order whose number ends in the place's bits; four places an order or more."""
    far: np.ndarray[Any, np.dtype[np.void]]
    """[power of two] of ORDER_INDEX: where the orders are whose place in `recent` a later one took."""
    far_count: np.ndarray[Any, np.dtype[np.int64]]
    """[1]: entries of `far`."""
    level_index: np.ndarray[Any, np.dtype[np.int32]]
    """[power of two]: open-addressing table from (series, side, price) to level, at most a quarter full."""
    roots: np.ndarray[Any, np.dtype[np.int32]]
    """[series_max + 1, 2]: root of the price tree of (series, side)."""
    best: np.ndarray[Any, np.dtype[np.int32]]
    """[series_max + 1, 2]: level with the best price of (series, side)."""
    touch: np.ndarray[Any, np.dtype[np.int64]]
    """[series_max + 1, 2]: best price of (series, side), negative for a bid; UNTOUCHED where the side is empty."""
    tally: np.ndarray[Any, np.dtype[np.void]]
    """[1] of BOOK_TALLY."""


_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}
"""No reference counts (a kernel allocates nothing) and no calls: see docs/decisions/0002-the-kernel.md for figures."""

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` to machine code that runs without the interpreter lock; with the JIT off it stays Python.

    The compiled code is kept on disk under a hash of *all* kernel sources: numba's own cache looks only at the file
    of the function itself and would go on running an edited callee's old rule.
    """
    compiled: Any = numba.njit(**_FLAGS)(function)
    if isinstance(compiled, Dispatcher):
        # numba has no public way to place the cache of a function.
        vars(compiled)["_cache"] = _KernelCache(function)  # type: ignore[no-untyped-call]
    return cast("F", compiled)


def direct(function: F, *like: Any) -> F:
    """The machine code of a kernel for arguments of the types of `like`, to be called often with little to do.

    numba looks at the type of every argument at every call, which for tuples of arrays takes some 2 µs, as much as
    hundreds of commands; this does not. Nothing then checks the arguments: each must be of the same type as in `like`,
    arrays in shape and dtype and contiguous.
    """
    if not isinstance(function, Dispatcher):
        return function
    found: Any = function.compile(tuple(map(function.typeof_pyval, like)))
    return cast("F", found)


CORE = ("matching", "ledger")
"""Packages whose kernels call each other and are kept together."""
APART = ("projections",)
"""Packages whose kernels are kept by themselves: an edit there leaves the core's machine code alone."""


def kernel_sources(packages: tuple[str, ...] = CORE) -> list[Path]:
    """Files of the packages that define kernels, and all files of the house that these import, whose constants are
    compiled in.
    """
    root = Path(__file__).resolve().parent.parent
    folders = [root / package for package in packages]
    waiting = [file for folder in folders for file in sorted(folder.glob("*.py")) if b"@kernel" in file.read_bytes()]
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in found and file.is_file():
            found.add(file)
            imports = re.findall(rb"^from ([a-z]+)\.(\w+) import", file.read_bytes(), re.MULTILINE)
            waiting += [root / package.decode() / f"{module.decode()}.py" for package, module in imports]
    return sorted(found)


def sources_hash(packages: tuple[str, ...] = CORE) -> str:
    """Names the cache folder: every kernel source, and the versions whose machine code may differ."""
    digest = hashlib.sha256()
    for file in kernel_sources(packages):
        digest.update(f"{file.parent.name}/{file.name}".encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(f"{sys.version} numba {numba.__version__} numpy {np.__version__}".encode())
    return digest.hexdigest()[:32]


@functools.cache
def _cache_folder(packages: tuple[str, ...]) -> Path:
    """First writable of $TALLYSTICK_KERNEL_CACHE, the user's cache folder, the system's temporary folder."""
    candidates = [
        os.environ.get("TALLYSTICK_KERNEL_CACHE"),
        os.environ.get("XDG_CACHE_HOME") and os.path.join(os.environ["XDG_CACHE_HOME"], "tallystick"),
        os.path.join(os.path.expanduser("~"), ".cache", "tallystick"),
        os.path.join(tempfile.gettempdir(), f"tallystick-{os.getuid()}"),
    ]
    for candidate in candidates:
        if not candidate:
            continue
        folder = Path(candidate) / "kernels" / sources_hash(packages)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    raise OSError("no writable folder for compiled kernels; set TALLYSTICK_KERNEL_CACHE")


class _SourcesLocator(_CacheLocator):
    """Puts a kernel's machine code into the folder of the hash of all kernel sources of its packages."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        package = function.__module__.partition(".")[0]
        self._packages = (package,) if package in APART else CORE

    def get_cache_path(self) -> str:
        return str(_cache_folder(self._packages))

    def get_source_stamp(self) -> str:
        return Path(self.get_cache_path()).name

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _SourcesLocator:  # noqa: ARG003
        return cls(py_func)


class _KernelCacheImpl(CompileResultCacheImpl):
    _locator_classes = [_SourcesLocator]  # type: ignore[list-item]  # noqa: RUF012


class _KernelCache(FunctionCache):
    _impl_class = _KernelCacheImpl
