"""Memory and processor time of a process and all its descendants."""

import contextlib
import threading
from typing import Self

import psutil


class MemorySampler:
    """Peaks of the proportional set size below a process, shared memory counted once.

    `peak_bytes` is of all processes together, `peak_of[title]` the largest of one process by its title, so
    far as the title contains a word asked for. Adding up the maps of Ray's processes takes a third of a
    second: where the command is timed as well, look every few seconds only.
    """

    def __init__(self, pid: int, titles: tuple[str, ...] = (), *, every_s: float = 1.0) -> None:
        self.peak_bytes = 0
        self.peak_of = dict.fromkeys(titles, 0)
        self._pid, self._every_s, self._done = pid, every_s, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._every_s):
            sizes = {process: _pss_bytes(process) for process in _tree(self._pid)}
            self.peak_bytes = max(self.peak_bytes, sum(sizes.values()))
            for title in self.peak_of:
                for process, size in sizes.items():
                    if size > self.peak_of[title] and title in _title(process):
                        self.peak_of[title] = size


def tree_bytes(root: int) -> int:
    """Proportional set size of a process and its descendants now, shared memory counted once."""
    return sum(map(_pss_bytes, _tree(root)))


def processor_seconds(root: int) -> float:
    """Processor time of a process tree so far; an ended process counts through its parent."""
    return sum(processor_seconds_of(root, ()).values())


def processor_seconds_of(root: int, titles: tuple[str, ...]) -> dict[str, float]:
    """The same, of the processes whose title contains a word, by word; of all others under the empty one."""
    total_s = dict.fromkeys(("", *titles), 0.0)
    for process in _tree(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            name = _title(process) if titles else ""
            word = next((title for title in titles if title in name), "")
            total_s[word] += times.user + times.system + times.children_user + times.children_system
    return total_s


def _tree(root: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def _pss_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_full_info().pss)
    return 0


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return "\0".join(process.cmdline())
    return ""
