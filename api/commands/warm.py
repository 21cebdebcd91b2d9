"""`tallystick warm`, and the warming that other commands begin with."""

from __future__ import annotations

from api.output import Output
from api.warming import warm


def run(output: Output) -> None:
    compiled = warm_up(output)
    if output.as_json:
        output.json({"compiled": compiled, "seconds": output.seconds["warm"]})


def warm_up(output: Output) -> int:
    """Compile the kernels, or load them; returns how many were compiled."""
    with output.stage("warm", "compiling the kernels (once)") as advance:
        return warm(advance)
