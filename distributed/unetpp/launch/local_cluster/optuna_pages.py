"""Keeps optuna-dashboard on the newest sweep below a URI; run as a program with URI and PORT.

optuna-dashboard shows one storage, and a sweep has its own; a cluster starts before its sweeps do. Of a sweep
in a bucket it shows a copy of the published study, which each look at the bucket brings up to date.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from unetpp.core.errors import UserError
from unetpp.core.logs import setup_logging
from unetpp.core.places import SWEEP_CONFIG
from unetpp.core.storage import open_storage
from unetpp.tuning.find_runs import find_results
from unetpp.tuning.folder import read_base, reading_url
from unetpp.tuning.study.storage import existing_file

__all__ = ["follow", "newest_study"]

_POLL_S = 5.0
_HOST = "127.0.0.1"


def newest_study(uri: str) -> str | None:
    """Storage URL of the sweep that was started last; None before there is one.

    Raises:
        StorageError: the URI cannot be used.
    """
    root = open_storage(uri)
    found = [root.child(path) if path else root for path in find_results(uri).sweeps]
    if root.is_local:
        found.sort(key=lambda folder: folder.local_path(SWEEP_CONFIG).stat().st_mtime)
    for folder in reversed(found):
        url = reading_url(read_base(folder), folder)
        if existing_file(url):
            return url
    return None


def follow(uri: str, port: int) -> None:
    """Run until stopped."""
    shown: str | None = None
    child: subprocess.Popen[bytes] | None = None
    try:
        while True:
            try:
                newest = newest_study(uri)
            except (UserError, OSError) as error:
                sys.stderr.write(f"{error}\n")
                newest = shown
            if newest is not None and (newest != shown or child is None or child.poll() is not None):
                _end(child)
                shown, child = newest, _start(newest, port)
            time.sleep(_POLL_S)
    finally:
        _end(child)


def _start(url: str, port: int) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).parent / "optuna-dashboard"
    return subprocess.Popen([str(program), url, "--host", _HOST, "--port", str(port)])


def _end(child: subprocess.Popen[bytes] | None) -> None:
    if child is not None:
        child.terminate()
        child.wait()


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit


if __name__ == "__main__":
    setup_logging("WARNING")
    signal.signal(signal.SIGTERM, _stop)
    follow(sys.argv[1], int(sys.argv[2]))
