"""What the house measures of itself, for Prometheus.

The writer's figures are taken where the writer is driven: a sequencer that times each batch, a recorder that times each
append. They cost a few clock readings a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ledger.sequencer import DecidedBatch, Item, Orders, Sequencer
from ledger.writer import Writer

SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000, 65_536)


class Metrics:
    """One house's registry. Gauges are asked when they are read."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.batch_rows = Histogram(
            "tallystick_batch_rows", "Commands of a batch.", buckets=ROWS, registry=self.registry
        )
        self.decide_seconds = Histogram(
            "tallystick_decide_seconds",
            "Deciding a batch: rules, matching, settlement.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.append_seconds = Histogram(
            "tallystick_append_seconds",
            "The database's part of a batch: insert and commit.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.commands = Counter("tallystick_commands", "Commands that were decided.", registry=self.registry)
        self.follower_starts = Counter(
            "tallystick_follower_starts", "Starts of the follower process.", registry=self.registry
        )

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A figure that is asked for at each reading."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)


class MeteredSequencer(Sequencer):
    """A sequencer that times the deciding of each batch."""

    def __init__(self, *house: Any, metrics: Metrics) -> None:
        super().__init__(*house)
        self._metrics = metrics

    def decide(self, items: Sequence[Item]) -> Iterator[DecidedBatch]:
        rows = sum(len(item.commands) if isinstance(item, Orders) else 1 for item in items)
        self._metrics.batch_rows.observe(rows)
        self._metrics.commands.inc(rows)
        began = perf_counter()
        for decided in super().decide(items):
            self._metrics.decide_seconds.observe(perf_counter() - began)
            yield decided
            began = perf_counter()


class MeteredWriter(Writer):
    """A writer that says how much waits for it."""

    @property
    def waiting(self) -> int:
        """Items that nobody has taken yet."""
        return self._queue.qsize()
