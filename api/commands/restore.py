"""`tallystick restore`: a house made again from a backup, and its log done again before it counts as restored."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from api.backup import BackupFailed, read_manifest, restored
from api.bootstrap import Places, log_for_reading
from api.commands.door import Failed
from api.commands.verify import as_json, verified
from api.commands.warm import warm_up
from api.output import Output
from ledger.store import Store


def run(output: Output, where: Places, backup: Path) -> None:
    try:
        found = _run(output, where, backup)
    except BackupFailed as error:
        raise Failed(error.code, str(error)) from error
    if output.as_json:
        output.json({"restored": True, **found, "seconds": output.seconds})
    else:
        output.facts(f"The house in {where.data} is that of the backup", found)
        output.line("\nIts read models are built anew when it is served.")


def _run(output: Output, where: Places, backup: Path) -> dict[str, object]:
    with output.stage("check", "comparing the files with the manifest"):
        manifest = read_manifest(backup)
    warm_up(output)
    with ExitStack() as stack:
        with output.stage("restore", f"copying into {where.shown_url}"):
            at = stack.enter_context(restored(backup, manifest, where))
        with log_for_reading(at) as recorder, output.stage("verify", "verifying", manifest.position) as on_entry:
            proof = verified(Store(recorder), lambda position: on_entry(position, ""))
        if (proof.position, proof.running_hash.hex()) != (manifest.position, manifest.running_hash):
            raise BackupFailed(
                "backup_damaged",
                f"the log ends at {proof.position} with {proof.running_hash.hex()}, "
                f"the manifest says {manifest.position} with {manifest.running_hash}",
            )
    return as_json(proof)
