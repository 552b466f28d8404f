"""Ownership of a run or a sweep, a lease with a heartbeat: one process at a time, wherever they run."""

from unetpp.core.ownership.ownership import Claim, Ownership

__all__ = ["Claim", "Ownership"]
