"""Memory and processor time of a process and all its descendants."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Self


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
            sizes = {pid: _pss_bytes(pid) for pid in _tree(self._pid)}
            self.peak_bytes = max(self.peak_bytes, sum(sizes.values()))
            for title in self.peak_of:
                for pid, size in sizes.items():
                    if size > self.peak_of[title] and title in _title(pid):
                        self.peak_of[title] = size


def tree_bytes(root: int) -> int:
    """Proportional set size of a process and its descendants now, shared memory counted once."""
    return sum(_pss_bytes(pid) for pid in _tree(root))


def processor_seconds(root: int) -> float:
    """Processor time of a process tree so far; an ended process counts through its parent."""
    ticks = 0
    for pid in _tree(root):
        with contextlib.suppress(OSError):
            # utime, stime, cutime, cstime
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _tree(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
