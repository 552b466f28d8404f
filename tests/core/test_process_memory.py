"""What lasts is left alone until and at exit, what is thrown away is collected; freed blocks serve again."""

import os
import subprocess
import sys

import pytest

_CYCLE = """
import sys
from unetpp.core.process_memory import spare_lasting_objects

class Node:
    def __init__(self):
        self.me = self
    def __del__(self):
        sys.stdout.write("collected ")
        sys.stdout.flush()
"""


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", _CYCLE + code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(("call", "said"), [("", "collected "), ("spare_lasting_objects()", "")])
def test_objects_of_a_process_are_left_alone_at_its_end(call, said):
    assert printed(f"{call}\nkept = Node()") == said


def test_young_garbage_is_collected_while_the_process_runs():
    throw_away = "spare_lasting_objects()\nNode()\nfilling = [[] for _ in range(100_000)]\nprint('end')"
    assert printed(throw_away) == "collected end\n"


def test_file_that_is_left_open_is_written_to_its_end(tmp_path):
    text = "x" * 100_000
    printed(f"spare_lasting_objects()\nkept = open({os.fspath(tmp_path / 'a')!r}, 'w')\nkept.write({text!r})")
    assert (tmp_path / "a").read_text() == text


_FAULTS = """
import resource
import torch
from unetpp.core.process_memory import keep_freed_memory

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
