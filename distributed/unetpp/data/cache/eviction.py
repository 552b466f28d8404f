"""Cache eviction and admission: which entries are thrown out, and which are not taken in; pure functions.

Training reads every shard once an epoch. If the dataset is larger than the cache, least-recently-used
replacement throws each shard out just before its next use: no hit at all. So a full cache does not
take in another shard of the same dataset, and a stable part of it, the cache's share, is hit each epoch.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

__all__ = ["IDLE_S", "Entry", "evictions", "idle_excess"]

IDLE_S = 600.0
"""An entry unused for so long may belong to a run that has ended."""


@dataclass(frozen=True)
class Entry:
    """A cached shard: its digest, its size and when it was last used (seconds since the epoch)."""

    key: str
    bytes: int
    used_s: float


def evictions(
    entries: Sequence[Entry], incoming_bytes: int, *, limit_bytes: int, members: Container[str], now_s: float
) -> tuple[Entry, ...] | None:
    """Entries to delete, least recently used first, so that another fits; None if it must stay out.

    Entries of the reader's own dataset (`members`), and those in use by others, are left alone.
    """
    excess = sum(entry.bytes for entry in entries) + incoming_bytes - limit_bytes
    chosen = _oldest(
        [entry for entry in entries if entry.key not in members and now_s - entry.used_s > IDLE_S], excess
    )
    return chosen if excess <= sum(entry.bytes for entry in chosen) else None


def idle_excess(entries: Sequence[Entry], *, limit_bytes: int, now_s: float) -> tuple[Entry, ...]:
    """Entries that nobody uses and a lowered limit has no room for, least recently used first."""
    excess = sum(entry.bytes for entry in entries) - limit_bytes
    return _oldest([entry for entry in entries if now_s - entry.used_s > IDLE_S], excess)


def _oldest(entries: Sequence[Entry], excess_bytes: int) -> tuple[Entry, ...]:
    chosen: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: entry.used_s):
        if excess_bytes <= 0:
            break
        chosen.append(entry)
        excess_bytes -= entry.bytes
    return tuple(chosen)
