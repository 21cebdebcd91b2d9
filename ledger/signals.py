"""How a follower learns that the log has grown, without asking all the time.

A signal carries nothing: it only ends a wait, and the follower then reads the log. So a signal may be lost, doubled or
early, and whoever waits also wakes by itself after a while. Raising a signal never delays or fails an append.
"""

import contextlib
import itertools
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

_numbers = itertools.count(1)


class Listener(Protocol):
    """One follower's ear; signals raised since the last wait end the next one at once."""

    def wait(self, seconds: float) -> None:
        """Return at a signal, at an interrupt, or after `seconds`."""

    def interrupt(self) -> None:
        """End the present or the next wait; may be called from any thread."""

    def close(self) -> None: ...


class Signals(Protocol):
    """Joins the writer of a log to its listeners."""

    def announce(self) -> None:
        """Tell every listener that entries were committed."""

    def listen(self) -> Listener: ...


class LocalSignals:
    """Signals within one process, for a log in memory."""

    def __init__(self) -> None:
        self._listeners: list[LocalListener] = []

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def announce(self) -> None:
        for listener in tuple(self._listeners):
            listener.interrupt()

    def listen(self) -> "LocalListener":
        listener = LocalListener(self._listeners.remove)
        self._listeners.append(listener)
        return listener


class LocalListener:
    def __init__(self, forget: Callable[["LocalListener"], None]) -> None:
        self._forget = forget
        self._event = threading.Event()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self._event.clear()

    def interrupt(self) -> None:
        self._event.set()

    def close(self) -> None:
        self._forget(self)


class SocketSignals:
    """Signals between processes on one machine: each listener binds a datagram socket in a folder beside the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def announce(self) -> None:
        if not os.path.isdir(self._folder):
            return  # Nobody ever listened here, and to ask costs less than an exception.
        try:
            names = os.listdir(self._folder)
        except OSError:
            return
        for name in names:
            address = f"{self._folder}/{name}"
            try:
                self._socket.sendto(b"\0", address)
            except ConnectionRefusedError:
                # Its process ended without closing it.
                with contextlib.suppress(OSError):
                    os.unlink(address)
            except OSError:
                pass  # A full queue already holds a signal.

    def listen(self) -> "SocketListener":
        return SocketListener(self._folder)

    def close(self) -> None:
        self._socket.close()


class WaitingListener:
    """Waits on a file descriptor that becomes readable at a signal, and on a pipe for interrupts."""

    def __init__(self) -> None:
        self._interrupted, self._interrupt = os.pipe()
        os.set_blocking(self._interrupted, False)
        os.set_blocking(self._interrupt, False)
        self._lock = threading.Lock()
        self._closed = False

    def _source(self) -> list[Any]:
        raise NotImplementedError

    def _drain(self) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        # Not select(), which knows no descriptor above 1023.
        waiting = select.poll()
        for source in (self._interrupted, *self._source()):
            waiting.register(source, select.POLLIN)
        ready = [descriptor for descriptor, _ in waiting.poll(max(seconds, 0) * 1000)]
        if self._interrupted in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._interrupted, 4096)
        self._drain()

    def interrupt(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self._interrupt, b"\0")

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._interrupted)
                os.close(self._interrupt)


class SocketListener(WaitingListener):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._address = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # Where no socket can be bound (a path over some 100 bytes, a folder without write permission) the follower
        # still hears of every entry: by itself, a wait later.
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._address = self._bind(folder)

    def _bind(self, folder: Path) -> str:
        while True:
            address = f"{folder}/{os.getpid()}-{next(_numbers)}"
            if not os.path.lexists(address):
                self._socket.bind(address)
                return address

    def _source(self) -> list[Any]:
        return [self._socket]

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(16)

    def close(self) -> None:
        super().close()
        self._socket.close()
        if self._address:
            with contextlib.suppress(OSError):
                os.unlink(self._address)
            self._address = ""


class NotifySignals:
    """LISTEN/NOTIFY: the database itself announces, by trigger, when the transaction commits."""

    CHANNEL = "tallystick_log"

    def __init__(self, connect: Callable[[], Any]) -> None:
        """`connect` lends a connection in autocommit mode, until the listener closes it."""
        self._connect = connect

    def announce(self) -> None:
        pass

    def listen(self) -> "NotifyListener":
        return NotifyListener(self._connect())


class NotifyListener(WaitingListener):
    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._lent = connection
        self._driver = connection.driver_connection
        with self._driver.cursor() as cursor:
            cursor.execute(f"LISTEN {NotifySignals.CHANNEL}")

    def _source(self) -> list[Any]:
        return [self._driver]

    def _drain(self) -> None:
        self._driver.poll()
        self._driver.notifies.clear()

    def close(self) -> None:
        super().close()
        # Closed, not given back: the next borrower does not listen.
        self._lent.invalidate()
