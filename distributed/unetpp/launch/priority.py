"""The priority of training among the other programs of a machine."""

__all__ = ["WORKER_PRIORITY"]

WORKER_PRIORITY = {"RAY_worker_niceness": "0"}
"""For the environment of the nodes that are started here; Ray's own default is 15.

A process at 15 gets a thirtieth of what one at 0 gets of the same core: beside another program that
computes, a training came to its first step after 9 minutes.
"""
