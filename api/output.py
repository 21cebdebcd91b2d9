"""What a command says: its result on stdout, and how far a long job is on stderr.

With `--json` stdout holds JSON and nothing else. On a terminal progress is a bar, elsewhere a line every few seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

LINE_EVERY_SECONDS: Final = 2.0
WIDTH_WITHOUT_TERMINAL: Final = 160

Advance: TypeAlias = Callable[[int, str], None]
"""(how much is done, what is being done); called as often as one likes."""


class Output:
    """Where one command speaks."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.seconds: dict[str, float] = {}
        """How long each stage took, by its name."""

    def json(self, value: Mapping[str, Any]) -> None:
        """One JSON object as one line on stdout."""
        self.line(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))

    def line(self, text: str) -> None:
        sys.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """A line for the person who waits, on stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def facts(self, title: str, values: Mapping[str, object]) -> None:
        """Named values on stdout, a line each, so that a hash stays in one piece."""
        width = max(map(len, values))
        self.line(title)
        for name, value in values.items():
            self.line(f"  {name.replace('_', ' '):<{width}}  {value}")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A readable table on stdout; numbers stand to the right."""
        # Imported here: only people look at tables.
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        content = [list(row) for row in rows]
        table = Table(title=title or None, title_justify="left")
        for place, name in enumerate(columns):
            numeric = bool(content) and all(isinstance(row[place], int) for row in content)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in content:
            table.add_row(*(Text(f"{cell:,}" if type(cell) is int else str(cell)) for cell in row))
        console = Console(file=sys.stdout)
        if not console.is_terminal:
            console.width = max(console.width, WIDTH_WITHOUT_TERMINAL)
        console.print(table)

    @contextmanager
    def stage(self, name: str, title: str, total: int | None = None) -> Iterator[Advance]:
        """A part of a long job, timed under `name`. Without `total` only time passes."""
        began = time.monotonic()
        shown = _bar(title, total) if sys.stderr.isatty() else self._lines(title, total)
        with shown as advance:
            yield advance
        self.seconds[name] = round(time.monotonic() - began, 3)
        self.note(f"{title}: done in {self.seconds[name]:.1f} s")

    @contextmanager
    def _lines(self, title: str, total: int | None) -> Iterator[Advance]:
        told = time.monotonic()
        of = "" if total is None else f" of {total:,}"
        self.note(f"{title} …")

        def advance(done: int, detail: str) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= LINE_EVERY_SECONDS:
                told = now
                self.note(f"{title}: {done:,}{of}{f', {detail}' if detail else ''}")

        yield advance


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[Advance]:
    # Imported here: nobody waits for it who has no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total, detail="")
        yield lambda done, detail: progress.update(task, completed=done, detail=detail)
