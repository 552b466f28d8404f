"""Which of the vectors of dilations that share a network's weights a step trains."""

from collections.abc import Sequence

from unetpp.config.dilations import Dilation, extent
from unetpp.core.seeds import rng

__all__ = ["step_dilations"]


def step_dilations(
    vectors: Sequence[Dilation], *, seed: int, global_step: int, sandwich: bool
) -> tuple[Dilation, ...]:
    """A pure function of its arguments: the same on every rank, and after a resume.

    Args:
        vectors: those that share the weights; empty gives none.
        sandwich: the smallest, the largest and one of the others (Yu and Huang 2019, arXiv:1903.05134), in
            place of one of them all.
    """
    if not vectors:
        return ()
    generator = rng("dilation", seed, global_step)
    if not sandwich:
        return (vectors[int(generator.integers(len(vectors)))],)
    smallest, *others, largest = sorted(vectors, key=extent) if len(vectors) > 1 else (*vectors, *vectors)
    middle = (others[int(generator.integers(len(others)))],) if others else ()
    return tuple(dict.fromkeys((smallest, *middle, largest)))
