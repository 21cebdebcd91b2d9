"""Keeps the follower process of a served house alive.

A process that ends is an outage: it is started again, and the house goes on meanwhile. A shadow that disagrees is not:
the house stops. So it does when the process cannot be kept alive, as then nobody checks what the writer does.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Final, Literal, Self

from api.bootstrap import House, Places
from api.logs import logger
from api.shadow import ShadowLink
from domain.commands import RecordStateRoot
from domain.rejections import Refusal
from domain.values import HOUSE
from ledger.sequencer import Answer, Ask
from ledger.writer import Writer

LIVES_MAX: Final = 5
SHORT_LIFE_SECONDS: Final = 60.0
"""So many lives in a row that were shorter than this, and it is given up."""
PAUSE_SECONDS: Final = 0.5

Condition = Literal["running", "down", "disagrees", "lost"]


class FollowerKeeper:
    """Starts the process; until `serve` is called its end stops the house, as it does for a shadow alone."""

    def __init__(self, where: Places, house: House, *, log_format: str | None = None) -> None:
        self.condition: Condition = "running"
        self._where = where
        self._house = house
        self._log_format = log_format
        self._closing = threading.Event()
        self._failed = threading.Event()
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None
        self._short_lives = 0
        self.link = self._start()

    def root(self, at_command: int) -> RecordStateRoot:
        """As of `ShadowLink`, before `serve`."""
        return self.link.root(at_command)

    @property
    def pid(self) -> int:
        return self.link.pid

    @property
    def position(self) -> int:
        """The last position that the shadow said it had executed."""
        return self.link.position

    def serve(self, writer: Writer) -> None:
        """From here on roots are recorded by the writer, and a process that ends is started again."""
        self._writer = writer
        self.link.hand_on(self._record, self._failed.set)
        self._thread = threading.Thread(target=self._keep, name="tallystick-follower-keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        self._failed.set()
        if self._thread is not None:
            self._thread.join()
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _start(self) -> ShadowLink:
        if self._house.metrics is not None:
            self._house.metrics.follower_starts.inc()
        self._began = time.monotonic()
        serving = self._writer is not None
        return ShadowLink(
            self._where,
            self._failed.set if serving else self._house.sequencer.stop,
            on_root=self._record if serving else None,
            projections=True,
            log_format=self._log_format,
        )

    def _keep(self) -> None:
        while True:
            self._failed.wait()
            self._failed.clear()
            if self._closing.is_set():
                return
            if self.link.disagreement is not None:
                self.condition = "disagrees"
                logger().critical("shadow_disagrees", what=self.link.disagreement)
                self._house.sequencer.stop()
                return
            lived = time.monotonic() - self._began
            self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE_SECONDS else 1
            if self._short_lives >= LIVES_MAX:
                self.condition = "lost"
                logger().critical("follower_lost", lives=self._short_lives)
                self._house.sequencer.stop()
                return
            self.condition = "down"
            logger().error("follower_ended", lived_seconds=round(lived, 1))
            self.link.close()
            if self._closing.wait(PAUSE_SECONDS * self._short_lives):
                return
            self.link = self._start()
            self.condition = "running"

    def _record(self, root: RecordStateRoot) -> None:
        """In the thread of the link."""
        assert self._writer is not None
        self._writer.submit(Ask(root, HOUSE)).add_done_callback(_told)


def _told(answer: Future[Answer]) -> None:
    if answer.exception() is None and isinstance(refusal := answer.result(), Refusal):
        logger().error("state_root_refused", code=refusal.code, what=refusal.message)
