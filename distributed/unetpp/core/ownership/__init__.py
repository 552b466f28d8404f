"""Which process works on a run or a sweep: one at a time, wherever they run."""

from unetpp.core.ownership.ownership import Claim, Ownership

__all__ = ["Claim", "Ownership"]
