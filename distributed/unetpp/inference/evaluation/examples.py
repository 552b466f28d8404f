"""The best and worst samples of an evaluation, kept while the others stream past."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Example", "Examples"]


@dataclass(frozen=True)
class Example:
    sample_id: str
    dice: float
    panel: bytes
    """PNG."""


class Examples:
    """Holds the `keep` best and worst samples; at most 2 * keep panels exist at any time."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._best: list[tuple[tuple[float, ...], Example]] = []
        self._worst: list[tuple[tuple[float, ...], Example]] = []
        self._seen = 0

    def offer(self, sample_id: str, dice: float, foreground_px: int, draw: Callable[[], bytes]) -> None:
        """Consider a sample; `draw` is called only if it is kept.

        Of equal scores the sample with more foreground is kept: an empty image predicted empty shows nothing.
        """
        # The running number makes every key unique: equal ones are never compared by their example.
        best_key = (dice, foreground_px, -self._seen)
        worst_key = (-dice, foreground_px, -self._seen)
        self._seen += 1
        wanted = [
            (heap, key)
            for heap, key in ((self._best, best_key), (self._worst, worst_key))
            if len(heap) < self._keep or key > heap[0][0]
        ]
        if not wanted:
            return
        example = Example(sample_id, dice, draw())
        for heap, key in wanted:
            heapq.heappush(heap, (key, example))
            if len(heap) > self._keep:
                heapq.heappop(heap)

    def best(self) -> list[Example]:
        """Highest Dice first."""
        return [example for _, example in sorted(self._best, key=lambda item: item[0], reverse=True)]

    def worst(self) -> list[Example]:
        """Lowest Dice first; samples that are among the best are left out."""
        best_ids = {example.sample_id for _, example in self._best}
        ordered = sorted(self._worst, key=lambda item: item[0], reverse=True)
        return [example for _, example in ordered if example.sample_id not in best_ids]
