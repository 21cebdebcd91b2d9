"""`tallystick backup`: the log, the keys and the auth store in a folder, while the house runs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from api.backup import MANIFEST, BackupFailed, back_up
from api.bootstrap import Places
from api.commands.door import Failed
from api.output import Output


def run(output: Output, where: Places, target: Path) -> None:
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        with output.stage("backup", f"copying {where.shown_url}"):
            manifest = back_up(where, target, made_at=made_at)
    except BackupFailed as error:
        raise Failed(error.code, str(error)) from error
    if output.as_json:
        output.json({"backup": str(target), **asdict(manifest), "seconds": output.seconds})
        return
    size = sum(file.bytes for file in manifest.files.values())
    output.facts(
        f"The backup is in {target}",
        {
            "position": manifest.position,
            "running_hash": manifest.running_hash,
            "files": len(manifest.files),
            "bytes": size,
        },
    )
    output.line(f"\nEach file's SHA-256 is in {MANIFEST}. The folder holds keys and secrets: keep it as such.")
