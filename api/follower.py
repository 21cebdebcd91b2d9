"""The second process of a served house: the shadow, which executes the log again, and the projections.

    python -m api.follower DATA SOCKET [--projections] [--log-format json|console] < URL of the log

It only reads the log. It ends when the writer goes away, whatever became of it: everything it keeps is either a fold
whose rows and position are committed together, or a snapshot renamed into place, so it may end anywhere. What it sends
is described in `api.shadow`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from api.bootstrap import Places, follow_as_shadow, keep_projections, places
from api.logs import configure_logs, logger
from api.shadow import socket_address
from domain.commands import RecordStateRoot
from ledger.disagreement import Disagreement

SWITCH_SECONDS: Final = 0.0005
"""How long one thread may keep the interpreter while another waits."""
TELL_SECONDS: Final = 1.0
PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the projections are begun again after they failed; the last pause repeats."""
SETTLED_SECONDS: Final = 60.0
"""After so long a failure counts as the first one."""

DISAGREES: Final = 3
FAILED: Final = 1


class _Wire:
    """The socket to the writer, for whichever thread has something to say."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._link.sendall(json.dumps(message).encode() + b"\n")


def run(where: Places, socket_path: Path, *, projections: bool) -> int:
    """Follow the log until the writer goes away. Returns the exit code."""
    sys.setswitchinterval(SWITCH_SECONDS)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(socket_address(socket_path))
    wire = _Wire(link)
    position = [0]
    threading.Thread(target=_shadow, args=(where, wire, position), name="shadow", daemon=True).start()
    if projections:
        threading.Thread(target=_projections, args=(where,), name="projections", daemon=True).start()
    # The writer sends nothing: when the link can be read, it has gone.
    with contextlib.suppress(OSError):
        while not select.select([link], [], [], TELL_SECONDS)[0]:
            wire.send({"shadow": position[0]})
    return 0


def _shadow(where: Places, wire: _Wire, position: list[int]) -> None:
    """Executes the log; the process ends with it, and says why if the writer still listens."""
    code = FAILED
    announced = False

    def submit(root: RecordStateRoot) -> None:
        nonlocal announced
        first = {} if announced else {"announced": True}
        announced = True
        wire.send({"at_command": root.at_command, "root": root.root.hex(), **first})

    def on_entry(at: int) -> None:
        position[0] = at

    try:
        follow_as_shadow(where, submit, on_entry)
    except Disagreement as disagreement:
        logger().error("shadow_disagrees", what=str(disagreement), position=disagreement.position)
        wire.send({"disagreement": str(disagreement)})
        code = DISAGREES
    except BrokenPipeError:
        code = 0
    except Exception:  # noqa: BLE001  (whatever it is, it is told, and the process ends)
        logger().exception("shadow_failed")
    finally:
        os._exit(code)


def _projections(where: Places, keep: Callable[[Places], None] = keep_projections) -> None:
    """Keeps the read models. A failure of theirs is no reason to stop the shadow: they are begun again, from what they
    committed last.
    """
    pause = threading.Event()
    failures = 0
    while True:
        began = time.monotonic()
        try:
            keep(where)
        except Exception:  # noqa: BLE001  (whatever it is, the read models follow from the log)
            failures = 0 if time.monotonic() - began > SETTLED_SECONDS else failures
            seconds = PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)]
            failures += 1
            logger().exception("projections_failed", begun_again_in_seconds=seconds)
            pause.wait(seconds)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("api.follower")
    parser.add_argument("data", type=Path)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--projections", action="store_true")
    parser.add_argument("--log-format")
    given = parser.parse_args(arguments)
    configure_logs(given.log_format or "json", level="info" if given.log_format else "error")
    return run(places(given.data, sys.stdin.read()), given.socket, projections=given.projections)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
