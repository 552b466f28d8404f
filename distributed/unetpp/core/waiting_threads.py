"""How the threads of a process wait for one another."""

import os

__all__ = ["PASSIVE_WAITING", "wait_passively"]

PASSIVE_WAITING = {"OMP_WAIT_POLICY": "passive"}
"""For the environment of processes that will import torch: OpenMP reads it once.

By default a thread that has done its part of a convolution spins. Where more threads than cores want to run,
it spins on the core that the last one needs: two processes with two threads each took 3 to 6 s for a step on
two busy cores, 0.15 to 0.30 s as they wait passively, and 0.16 to 0.29 s with one thread each.
"""


def wait_passively() -> None:
    """For this process and those that it starts, unless the environment says otherwise."""
    for name, value in PASSIVE_WAITING.items():
        os.environ.setdefault(name, value)
