"""The writer's end of the wire to the follower process: a Unix socket in the data folder, one JSON object a line.

The follower sends `{"at_command": N, "root": "<hex>"}` for each state root (with `"announced": true` for the one it
starts with, which nothing may have asked for), `{"disagreement": "<what>"}` when the log is not what executing it
gives, and about once a second `{"shadow": N}`, the position that it has executed. The writer sends nothing.
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

from api.bootstrap import Places, ShadowFailed
from domain.commands import RecordStateRoot

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
"""How long a root may take before the shadow counts as dead."""
END_SECONDS = 3.0
"""How long the process may take to end when it is told to."""


class ShadowLink:
    """Starts the follower process and hears its roots."""

    def __init__(
        self,
        where: Places,
        on_failure: Callable[[], None] = lambda: None,
        *,
        on_root: Callable[[RecordStateRoot], None] | None = None,
        projections: bool = False,
        log_format: str | None = None,
    ) -> None:
        """`on_failure` is called when the shadow disagrees (then `disagreement` says how) or ends, `on_root` with each
        root that something asked for; both from another thread. Without `on_root` roots wait for `root`.

        With `projections` the process keeps the read models, too; with a `log_format` it logs to stderr.
        """
        self.disagreement: str | None = None
        self.position = 0
        """The last that the shadow said it had executed."""
        self._on_failure = on_failure
        self._on_root = on_root
        self._closing = False
        self._heard: queue.SimpleQueue[RecordStateRoot | str] = queue.SimpleQueue()
        # A socket's path holds about a hundred characters, so it is bound under a relative name in its folder.
        self._path = socket_path = where.socket
        with contextlib.suppress(FileNotFoundError):
            socket_path.unlink()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(socket_address(socket_path))
        socket_path.chmod(0o600)
        self._server.listen(1)
        log_url = where.log_url.render_as_string(hide_password=False)
        command = [sys.executable, "-P", "-m", "api.follower", str(where.data), str(socket_path)]
        command += ["--projections"] if projections else []
        command += ["--log-format", log_format] if log_format else []
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=None if log_format else subprocess.DEVNULL,
            # An interrupt at the terminal is for the writer, which ends its follower.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        # Not among the arguments, which everybody on the machine can read: the URL may hold a password.
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(log_url.encode())
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
        """Of the follower process."""
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

    def hand_on(self, on_root: Callable[[RecordStateRoot], None], on_failure: Callable[[], None]) -> None:
        """From here on nobody waits for roots: they and a failure are told."""
        self._on_failure = on_failure
        self._on_root = on_root

    def close(self) -> None:
        """End the follower process."""
        self._closing = True
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(END_SECONDS)
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
                        what = self.disagreement = str(message["disagreement"])
                        break
                    if "shadow" in message:
                        self.position = int(message["shadow"])
                        continue
                    root = RecordStateRoot(at_command=int(message["at_command"]), root=bytes.fromhex(message["root"]))
                    if self._on_root is None:
                        self._heard.put(root)
                    elif not message.get("announced"):
                        self._on_root(root)
        except (OSError, ValueError, KeyError) as error:
            what = f"{what}: {error}"
        finally:
            if not self._closing:
                self._on_failure()
            self._heard.put(what)

    def _accept(self) -> socket.socket:
        """The follower's connection; it connects as soon as it has started, or never."""
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


def socket_address(path: Path) -> str:
    """A name for `path` that fits into a socket address."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)
