"""The wire between the shadow process and the writer: a Unix socket in the data folder, one JSON object a line.

The shadow sends `{"at_command": N, "root": "<hex>"}` for each state root and `{"disagreement": "<what>"}` when the log
is not what executing it gives.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from api.bootstrap import Places, ShadowFailed, follow_as_shadow, places
from domain.commands import RecordStateRoot
from ledger.disagreement import Disagreement

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
"""How long a root may take before the shadow counts as dead."""


class ShadowLink:
    """The writer's end: starts the shadow process and hears its roots."""

    def __init__(self, where: Places, on_failure: Callable[[], None] = lambda: None) -> None:
        """`on_failure` is called when the shadow disagrees or ends: the house must stop. From another thread."""
        self._on_failure = on_failure
        self._closing = False
        self._heard: queue.SimpleQueue[RecordStateRoot | str] = queue.SimpleQueue()
        # A socket's path holds about a hundred characters, so it is bound under a relative name in its folder.
        self._path = socket_path = where.socket
        with contextlib.suppress(FileNotFoundError):
            socket_path.unlink()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(_short(socket_path))
        socket_path.chmod(0o600)
        self._server.listen(1)
        log_url = where.log_url.render_as_string(hide_password=False)
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-P", "-m", "api.shadow", str(where.data), log_url, str(socket_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # An interrupt at the terminal is for the writer, which ends its shadow.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._thread = threading.Thread(target=self._listen, name="tallystick-shadow-link", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the shadow process."""
        return self._process.pid

    def root(self, at_command: int) -> RecordStateRoot:
        """The root after `at_command`, which a tick must have asked for. Raises ShadowFailed."""
        while True:
            try:
                heard = self._heard.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                raise ShadowFailed(f"no state root within {PATIENCE_SECONDS:.0f} seconds") from None
            if isinstance(heard, str):
                raise ShadowFailed(heard)
            if heard.at_command == at_command:
                return heard

    def close(self) -> None:
        """End the shadow process."""
        self._closing = True
        self._process.terminate()
        self._process.wait()
        self._server.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _listen(self) -> None:
        what = "the shadow process ended"
        try:
            with self._accept() as connection, connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    message = json.loads(line)
                    if "disagreement" in message:
                        what = str(message["disagreement"])
                        break
                    root = bytes.fromhex(message["root"])
                    self._heard.put(RecordStateRoot(at_command=int(message["at_command"]), root=root))
        except (OSError, ValueError, KeyError) as error:
            what = f"{what}: {error}"
        finally:
            if not self._closing:
                self._on_failure()
            self._heard.put(what)

    def _accept(self) -> socket.socket:
        """The shadow's connection; it connects as soon as it has started, or never."""
        self._server.settimeout(POLL_SECONDS)
        while True:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    raise OSError(f"it ended with exit code {self._process.returncode} before it connected") from None
            else:
                connection.settimeout(None)
                return connection


def run(data: Path, log_url: str, socket_path: Path) -> int:
    """The shadow process: follow the log until the writer goes away. Returns the exit code."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(_short(socket_path))
    threading.Thread(target=_leave_with_the_writer, args=(link,), daemon=True).start()

    def send(message: dict[str, object]) -> None:
        link.sendall(json.dumps(message).encode() + b"\n")

    def submit(root: RecordStateRoot) -> None:
        send({"at_command": root.at_command, "root": root.root.hex()})

    try:
        follow_as_shadow(places(data, log_url), submit)
    except Disagreement as disagreement:
        send({"disagreement": str(disagreement)})
        return 3
    except BrokenPipeError:
        return 0
    return 0


def _leave_with_the_writer(link: socket.socket) -> None:
    """The writer sends nothing: when the link can be read, it has gone, whatever became of it."""
    with contextlib.suppress(OSError):
        link.recv(1)
    os._exit(0)


def _short(path: Path) -> str:
    """A name for `path` that fits into a socket address."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
