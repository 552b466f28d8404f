"""Checkpoint directories: digests in a manifest written last, verified when read.

    checkpoints/step-00000120/model.safetensors   any number of files
    checkpoints/step-00000120/manifest.json       {"files": {name: {"sha256", "bytes"}}}, written last
    checkpoints/best.json                         {"step": 120, "value": 0.91}

A directory without a manifest, or with a file that does not match it, is never used.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping

from unetpp.core.errors import CheckpointError
from unetpp.core.storage import Storage

__all__ = ["CheckpointStore"]

logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_BEST = "best.json"
_STEP_DIR = re.compile(r"step-(\d{8,})/" + re.escape(_MANIFEST))


class CheckpointStore:
    """Save, verify, find and thin out the checkpoints under one storage root."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def save(self, step: int, files: Mapping[str, bytes]) -> None:
        """Write the files, then the manifest that makes them a checkpoint."""
        folder = _folder(step)
        self.storage.delete(folder)  # remains of an attempt that was cut short
        for name, data in files.items():
            self.storage.write(f"{folder}/{name}", data)
        listed = {n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in files.items()}
        self.storage.write(f"{folder}/{_MANIFEST}", json.dumps({"files": listed}, indent=1).encode())

    def steps(self) -> list[int]:
        """Steps of all committed checkpoints, ascending."""
        found = (_STEP_DIR.fullmatch(path) for path in self.storage.list())
        return sorted(int(match.group(1)) for match in found if match)

    def load(self, step: int) -> dict[str, bytes]:
        """Read every file of a checkpoint and verify it.

        Raises:
            CheckpointError: a file is missing or differs from its digest.
        """
        folder = _folder(step)
        try:
            listed = json.loads(self.storage.read(f"{folder}/{_MANIFEST}"))["files"]
            files = {name: self.storage.read(f"{folder}/{name}") for name in listed}
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise CheckpointError(f"checkpoint {folder} is incomplete: {error!r}") from error
        for name, data in files.items():
            if hashlib.sha256(data).hexdigest() != listed[name]["sha256"]:
                raise CheckpointError(f"checkpoint {folder}: {name} differs from its sha256")
        return files

    def latest(self) -> tuple[int, dict[str, bytes]] | None:
        """The newest checkpoint that verifies; broken ones are skipped with a warning."""
        for step in reversed(self.steps()):
            try:
                return step, self.load(step)
            except CheckpointError as error:
                logger.warning("%s; falling back to the previous checkpoint", error)
        return None

    def best(self) -> tuple[int, dict[str, bytes]] | None:
        """The checkpoint marked best if it verifies, else the newest one that does."""
        record = self.best_record()
        if record is not None:
            try:
                return int(record["step"]), self.load(int(record["step"]))
            except CheckpointError as error:
                logger.warning("%s; falling back to the newest checkpoint", error)
        return self.latest()

    def mark_best(self, step: int, value: float) -> None:
        """Record which checkpoint scored best; it is kept when others are thinned out."""
        self.storage.write(_BEST, json.dumps({"step": step, "value": value}).encode())

    def best_record(self) -> dict[str, float] | None:
        """The step and value last marked best."""
        if not self.storage.exists(_BEST):
            return None
        record: dict[str, float] = json.loads(self.storage.read(_BEST))
        return record

    def rewind(self, step: int) -> None:
        """Delete the checkpoints after a step, and the record of the best one."""
        self.storage.delete(_BEST)
        for later in self.steps():
            if later > step:
                self.storage.delete(f"{_folder(later)}/{_MANIFEST}")
                self.storage.delete(_folder(later))

    def thin_out(self, keep_latest: int) -> None:
        """Delete all but the newest checkpoints and the best one."""
        steps = self.steps()
        record = self.best_record()
        kept = set(steps[-keep_latest:]) | ({int(record["step"])} if record else set())
        for step in steps:
            if step not in kept:
                # The manifest goes first: a half-deleted checkpoint must not look whole.
                self.storage.delete(f"{_folder(step)}/{_MANIFEST}")
                self.storage.delete(_folder(step))


def _folder(step: int) -> str:
    return f"step-{step:08d}"
