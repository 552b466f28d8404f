"""Which shards an interrupted packing finished: one JSON line per shard, beside the shards.

The file's name holds the fingerprint, so other sources or options never reuse it. It is deleted at commit.
"""

import json
import logging

from unetpp.core.errors import ExistsError
from unetpp.core.manifest import ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.pack.discover import Rejection
from unetpp.data.pack.shard_writer import FinishedShard

__all__ = ["Journal"]

logger = logging.getLogger(__name__)

_PREFIX = "packing-"
_PENDING_SHARE = 16
"""Object stores cannot append, so the file is rewritten once this fraction of its lines is new: a resumed run
repeats at most a sixteenth of the work, and the bytes written stay proportional to the number of shards."""


class Journal:
    """Finished shards of one fingerprint."""

    def __init__(self, storage: Storage, fingerprint: str) -> None:
        self._storage = storage
        self._name = f"{_PREFIX}{fingerprint[:16]}.jsonl"
        self._lines: list[str] = []
        self._pending = 0
        self.finished: dict[tuple[str, int], FinishedShard] = {}

    def load(self) -> None:
        """Read what an interrupted run left, and name leftovers of other runs.

        Raises:
            ExistsError: another packing is unfinished, and the store could not decide which one wins.
        """
        for name in self._storage.list(_PREFIX):
            if name == self._name:
                self._parse(self._storage.read(name))
            elif not self._storage.supports_conditional_write():
                raise ExistsError(
                    f"{self._storage.uri} has no conditional writes, so only one packer may write there; "
                    f"{name} belongs to another, unfinished one: wait for it, delete that file if it was "
                    "given up, or use another --out"
                )
            else:
                logger.warning(
                    "%s at %s is left from an unfinished packing of other sources or options; "
                    "its shards are not reused",
                    name,
                    self._storage.uri,
                )
        if self.finished:
            logger.info("resuming: %d shards are finished", len(self.finished))

    def add(self, finished: FinishedShard) -> None:
        """Record a finished shard, unless its statistics cannot be counted again from what is stored."""
        if finished.lacks_data or (finished.split, finished.index) in self.finished:
            return
        self._lines.append(_dump(finished))
        self._pending += 1
        if self._pending * _PENDING_SHARE >= len(self._lines):
            self.flush()

    def flush(self) -> None:
        """Store all recorded lines."""
        if self._pending:
            self._storage.write(self._name, "".join(line + "\n" for line in self._lines).encode())
            self._pending = 0

    def delete(self) -> None:
        """Forget, once the manifest is committed."""
        self._storage.delete(self._name)

    def _parse(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            finished = _load(line)
            if finished is None:
                continue
            self.finished[finished.split, finished.index] = finished
            self._lines.append(line)


def _dump(finished: FinishedShard) -> str:
    return json.dumps(
        {
            "split": finished.split,
            "index": finished.index,
            "shard": finished.info.model_dump() if finished.info else None,
            "rejected": [[rejection.file, rejection.reason] for rejection in finished.rejections],
            "images": finished.images,
        }
    )


def _load(line: str) -> FinishedShard | None:
    """None for a shard that an earlier release finished, without its images' digests: it is written again."""
    value = json.loads(line)
    if "images" not in value:
        return None
    return FinishedShard(
        value["split"],
        value["index"],
        ShardInfo.model_validate(value["shard"]) if value["shard"] else None,
        tuple(Rejection(file, reason) for file, reason in value["rejected"]),
        tuple(value["images"]),
    )
