"""The best and worst samples of an evaluation, kept while the others stream past."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

__all__ = ["Candidate", "Example", "Examples"]


@dataclass(frozen=True)
class Candidate:
    """A scored sample."""

    sample_id: str
    dice: float
    foreground_px: int
    number: int
    """Its place in the split."""


@dataclass(frozen=True)
class Example:
    """A sample that is shown."""

    scored: Candidate
    panel: bytes
    """PNG."""


class Examples:
    """Holds the `keep` best and worst samples; at most 2 * keep panels exist at any time."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._held: dict[int, Example] = {}

    def offer(self, candidate: Candidate, draw: Callable[[], bytes]) -> Example | None:
        """Consider a sample, in whatever order they come; None of one that is not kept.

        Of equal scores the sample with more foreground is kept: an empty image predicted empty shows nothing.

        Args:
            candidate: one that is offered again counts once.
            draw: its panel; called only if it is kept and was not drawn before.
        """
        others = [example.scored for example in self._held.values() if example.scored != candidate]
        kept = [self._first([*others, candidate], order) for order in (_best_first, _worst_first)]
        wanted = {each.number for each in chain(*kept)}
        if candidate.number not in wanted:
            return None
        example = self._held.get(candidate.number) or Example(candidate, draw())
        self._held[candidate.number] = example
        self._held = {number: each for number, each in self._held.items() if number in wanted}
        return example

    def merge(self, other: "Examples") -> None:
        """Consider those that another keeps."""
        for example in other._held.values():
            self.offer(example.scored, partial(bytes, example.panel))

    def best(self) -> list[Example]:
        """Highest Dice first."""
        return self._shown(_best_first)

    def worst(self) -> list[Example]:
        """Lowest Dice first; samples that are among the best are left out."""
        best = self.best()
        return [example for example in self._shown(_worst_first) if example not in best]

    def _shown(self, order: "_Order") -> list[Example]:
        scored = [example.scored for example in self._held.values()]
        return [self._held[each.number] for each in self._first(scored, order)]

    def _first(self, scored: list[Candidate], order: "_Order") -> list[Candidate]:
        return sorted(scored, key=order)[: self._keep]


_Order = Callable[[Candidate], tuple[float, ...]]


def _best_first(scored: Candidate) -> tuple[float, ...]:
    return -scored.dice, -scored.foreground_px, scored.number


def _worst_first(scored: Candidate) -> tuple[float, ...]:
    return scored.dice, -scored.foreground_px, scored.number
