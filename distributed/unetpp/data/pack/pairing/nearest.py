"""The name that a file without a partner was most likely meant to have."""

import difflib
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["Nearest"]

_BESIDE = 20
"""Candidates on either side in the order of names, and in that of names read backwards: comparing with all
would take hours for ten thousand files."""
_CUTOFF = 0.6


class Nearest:
    """Looks names up among candidates."""

    def __init__(self, candidates: Sequence[str]) -> None:
        self._forward = sorted(candidates)
        self._backward = sorted(candidate[::-1] for candidate in candidates)

    def __call__(self, name: str) -> str | None:
        """The candidate most like a name; None if none is."""
        near = _around(self._forward, name)
        near += [candidate[::-1] for candidate in _around(self._backward, name[::-1])]
        found = difflib.get_close_matches(name, sorted(set(near)), n=1, cutoff=_CUTOFF)
        return found[0] if found else None


def _around(ordered: Sequence[str], name: str) -> list[str]:
    at = bisect_left(ordered, name)
    return list(ordered[max(0, at - _BESIDE) : at + _BESIDE])
