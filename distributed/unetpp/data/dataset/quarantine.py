"""Bytes that never matched their digest, kept aside for whoever looks into it."""

import contextlib
import logging
from pathlib import Path

from unetpp.core.manifest import ShardInfo

__all__ = ["Quarantine"]

logger = logging.getLogger(__name__)

_LIMIT_BYTES = 256 * 2**20


class Quarantine:
    """A bounded folder of bad shards, of which the oldest go first; remembers them for its lifetime."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def holds(self, shard: ShardInfo) -> bool:
        """Whether the shard was put here by this object."""
        return shard.name in self._names

    def keep(self, shard: ShardInfo, data: bytes | bytearray) -> None:
        """Remember the shard, and store its bytes where there is room; a full disk is no reason to fail."""
        self._names.add(shard.name)
        if len(data) > _LIMIT_BYTES:
            return
        path = self._folder / Path(shard.name).name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(data))
            path.write_bytes(data)
        except OSError as error:
            logger.warning("the bytes of shard %s are not kept: %s", shard.name, error.strerror)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            logger.warning("the bytes of shard %s are kept at %s", shard.name, path)

    def _make_room(self, incoming_bytes: int) -> None:
        files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        held_bytes = incoming_bytes
        for path in files:
            held_bytes += path.stat().st_size
            if held_bytes > _LIMIT_BYTES:
                path.unlink(missing_ok=True)
