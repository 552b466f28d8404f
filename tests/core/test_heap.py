"""A large block that is freed serves the next one, without new pages of the system."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource
import torch
from unetpp.core.heap import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize(("call", "again"), [("", True), ("keep_freed_memory()", False)])
def test_pages_of_a_freed_tensor_are_kept(call, again):
    rounds = "for _ in range(8): new_pages()\nprint(min(new_pages() for _ in range(8)))"
    code = f"{_FAULTS}\n{call}\n{rounds}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (int(done.stdout) > 1000) == again
