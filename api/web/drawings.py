"""Drawings rendered by the server as SVG: sparklines, bars by month, lineage. They carry no color and no style: the
tokens of the page do, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SPARK_WIDTH: Final = 96
SPARK_HEIGHT: Final = 24
_SPARK_MARGIN: Final = 2


def spark_path(values: Sequence[int]) -> str:
    """The path of a line through the values, over the whole width; empty for fewer than two."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    room = SPARK_HEIGHT - 2 * _SPARK_MARGIN
    points = [
        (
            index * SPARK_WIDTH / (len(values) - 1),
            SPARK_HEIGHT / 2 if high == low else _SPARK_MARGIN + room * (high - value) / (high - low),
        )
        for index, value in enumerate(values)
    ]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    value: int
    label: str


@dataclass(frozen=True, slots=True)
class Rule:
    y: float
    value: int


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars on a common zero line; `rules` are the horizontal lines with their values."""

    width: int
    height: int
    left: int
    bars: tuple[Bar, ...]
    rules: tuple[Rule, ...]
    zero_y: float


def bars(values: Sequence[tuple[str, int]], *, left: int = 88, width: int = 880, height: int = 220) -> Bars:
    """A bar for each (label, value); values may be negative. The scale ends on round numbers; `left` is for them."""
    top, bottom, right = 16, 28, 8
    low = min(0, *(value for _, value in values)) if values else 0
    high = max(0, *(value for _, value in values)) if values else 0
    step = _round_step(high - low)
    first, last = low // step, -(-high // step)
    if first == last:
        last += 1
    room = height - top - bottom

    def y(value: int) -> float:
        return top + room * (last * step - value) / ((last - first) * step)

    slot = (width - left - right) / max(len(values), 1)
    thick = min(56.0, slot * 0.6)
    return Bars(
        width,
        height,
        left,
        tuple(
            Bar(left + slot * (index + 0.5) - thick / 2, min(y(value), y(0)), thick, abs(y(0) - y(value)), value, label)
            for index, (label, value) in enumerate(values)
        ),
        tuple(Rule(y(number * step), number * step) for number in range(first, last + 1)),
        y(0),
    )


def _round_step(span: int) -> int:
    """1, 2 or 5 times a power of ten, so that about four steps cover the span."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step * 4 >= span:
                return factor * step
        step *= 10


# -- lineage -----------------------------------------------------------------------------------------------------------

BOX_WIDTH: Final = 208
BOX_HEIGHT: Final = 44
_GAP_X: Final = 64
_GAP_Y: Final = 12
COLUMN_MAX: Final = 9
"""Boxes of one column; what is beyond is one box that says how many more."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something in a lineage; `column` counts from the model (0): below it what it was made of, above what was made of
    it."""

    key: str
    title: str
    note: str
    href: str | None
    column: int
    gone: str = ""
    """What became of it, if it was withdrawn or changed."""


@dataclass(slots=True)
class Box:
    node: Node
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Graph:
    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    """Paths from the right of one box to the left of another."""


def lineage(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], more: str = "+{number}") -> Graph:
    """Columns from left to right, each in the order given and centered; an edge is (from key, to key)."""
    columns: dict[int, list[Node]] = {}
    for node in nodes:
        columns.setdefault(node.column, []).append(node)
    hidden: dict[str, str] = {}
    for number, column in columns.items():
        if len(column) > COLUMN_MAX:
            rest = column[COLUMN_MAX - 1 :]
            key = f"more{number}"
            hidden.update({node.key: key for node in rest})
            columns[number] = [
                *column[: COLUMN_MAX - 1],
                Node(key, more.format(number=len(rest)), "", None, number),
            ]
    tallest = max((len(column) for column in columns.values()), default=1)
    height = tallest * (BOX_HEIGHT + _GAP_Y) - _GAP_Y + 2
    boxes: dict[str, Box] = {}
    for place, number in enumerate(sorted(columns)):
        column = columns[number]
        used = len(column) * (BOX_HEIGHT + _GAP_Y) - _GAP_Y
        for row, node in enumerate(column):
            boxes[node.key] = Box(
                node, 1 + place * (BOX_WIDTH + _GAP_X), (height - used) / 2 + row * (BOX_HEIGHT + _GAP_Y)
            )
    paths = []
    for source, target in dict.fromkeys((hidden.get(a, a), hidden.get(b, b)) for a, b in edges):
        if source in boxes and target in boxes and source != target:
            start, end = boxes[source], boxes[target]
            x1, y1 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT / 2
            x2, y2 = end.x, end.y + BOX_HEIGHT / 2
            bend = (x2 - x1) / 2
            paths.append(f"M{x1:.0f} {y1:.1f}C{x1 + bend:.0f} {y1:.1f} {x2 - bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}")
    width = len(columns) * (BOX_WIDTH + _GAP_X) - _GAP_X + 2
    return Graph(width, round(height), tuple(boxes.values()), tuple(paths))
