"""How many random examples a property is tried with."""

from hypothesis import settings

__all__ = ["examples"]


def examples(count: int) -> int:
    """`count` where one takes long; with HYPOTHESIS_PROFILE=nightly ten times as many."""
    return count * settings().max_examples // 100
