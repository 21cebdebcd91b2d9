"""`tallystick verify`: the whole log done again, everything compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.bootstrap import Places, log_for_reading
from api.commands.door import OUTAGES, TAMPERING
from api.commands.warm import warm_up
from api.output import Output
from ledger.disagreement import Disagreement
from ledger.store import Store
from ledger.verifier import Verified, verify


def run(output: Output, where: Places) -> None:
    with log_for_reading(where) as recorder:
        store = Store(recorder)
        warm_up(output)
        with output.stage("verify", "verifying", store.position) as advance:
            proof = verified(store, lambda position: advance(position, ""))
    found = as_json(proof)
    if output.as_json:
        output.json({"verified": True, **found, "seconds": output.seconds})
    else:
        output.facts("The log is what executing it gives", found)


def as_json(proof: Verified) -> dict[str, Any]:
    return {
        "position": proof.position,
        "commands": proof.commands,
        "blocks": proof.blocks,
        "facts": proof.facts,
        "roots": proof.roots,
        "state_hash": proof.state_hash.hex(),
        "running_hash": proof.running_hash.hex(),
    }


def verified(store: Store, on_entry: Callable[[int], None]) -> Verified:
    """Raises Disagreement also where an altered entry breaks a rule of the fold before it is compared."""
    last = 0

    def follow(position: int) -> None:
        nonlocal last
        last = position
        on_entry(position)

    try:
        return verify(store, on_entry=follow)
    except (*TAMPERING, *OUTAGES):
        raise
    except (AssertionError, LookupError, ValueError, TypeError, OverflowError) as error:
        raise Disagreement(
            last + 1,
            "the entry cannot take effect",
            expected="an entry that this house would have written",
            found=f"{type(error).__name__}: {error}",
        ) from error
