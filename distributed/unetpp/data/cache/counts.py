"""Cache hits and misses: what reading cost and what the cache spared."""

from dataclasses import astuple, dataclass, replace

__all__ = ["NO_COUNTS", "CacheCounts"]


@dataclass(frozen=True)
class CacheCounts:
    """Shards read and their bytes in storage; adds up over tasks, epochs and workers."""

    hits: int = 0
    misses: int = 0
    bytes_fetched: int = 0
    bytes_saved: int = 0
    """Bytes of the hits, as they are in storage."""
    wait_s: float = 0.0
    """Time spent waiting for another process to fetch the same shard."""

    def __add__(self, other: "CacheCounts") -> "CacheCounts":
        return CacheCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def without_hits(self) -> "CacheCounts":
        """The same without what the cache spared."""
        return replace(self, hits=0, bytes_saved=0)

    def to_json(self) -> dict[str, float]:
        """For an epoch's metrics: totals, and the share of shards that were in the cache."""
        return {
            "hit_rate": self.hits / max(self.hits + self.misses, 1),
            "bytes_fetched": int(self.bytes_fetched),
            "bytes_saved": int(self.bytes_saved),
            "wait_s": round(self.wait_s, 3),
        }


NO_COUNTS = CacheCounts()
