"""What submitting costs: the same training through `submit` and run directly on the same cluster.

Starts a cluster of this machine and runs the command in turns, alternating. All times are read from outside,
from the start of the command to the lines it prints. Prints the table of cluster/README.md.

    python benchmarks/submission.py --data data/dsb64 --work build/submission
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import markdown, unetpp

_SETTINGS = (
    "model.depth=2", "model.width=8", "data.batch_size=8", "train.epochs=1",
    "scale.workers=2", "scale.cpus_per_worker=1",
)  # fmt: skip
_MOMENTS = {
    "job accepted": "submitted ",
    "its process starts": "Running entrypoint",
    "configuration decided": "auto ",
    "first training step": "workers ready",
}
"""How the line begins that tells it."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset")
    parser.add_argument("--work", required=True, type=Path, help="a new folder")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    work: Path = arguments.work.absolute()
    work.mkdir(parents=True)
    place = ("--dir", str(work / "cluster"), "--name", "submission")
    cluster = unetpp("cluster", "up", "--nodes", "2", "--out", str(work), *place)
    direct, submitted = [], []
    try:
        for number in range(arguments.repeats):
            given = (f"data.uri={arguments.data}", *_SETTINGS)
            own = ("train", *given, f"out={work}/direct-{number}", f"scale.address={cluster['address']}")
            direct.append(_moments(own, cluster))
            job = ("submit", "train", *given, f"out={work}/job-{number}")
            submitted.append(_moments(job, cluster))
    finally:
        unetpp("cluster", "down", *place)
    rows = [_row("directly", direct), _row("through submit", submitted)]
    header = ["the same training", *(f"{name}, s" for name in _MOMENTS), "command ends, s"]
    print(markdown(header, rows))


def _moments(arguments: tuple[str, ...], cluster: dict[str, Any]) -> dict[str, float]:
    """Seconds from the start of the command to each moment, and to its end."""
    print("$ unetpp", *arguments, flush=True)
    environment = {**os.environ, "RAY_API_SERVER_ADDRESS": cluster["urls"]["ray"]}
    started_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "unetpp", *arguments, "--json"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    found: dict[str, float] = {}

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            for name, begin in _MOMENTS.items():
                if name not in found and line.startswith(begin):
                    found[name] = time.monotonic() - started_s

    # Not here: what the command started may hold its output open for longer than it lives.
    threading.Thread(target=read, daemon=True).start()
    if process.wait():
        raise SystemExit(f"the command ended with {process.returncode}")
    found["end"] = time.monotonic() - started_s
    print(json.dumps(found), flush=True)
    return found


def _row(name: str, runs: list[dict[str, float]]) -> list[str]:
    """Medians; a moment that the command does not have is left out."""
    moments = [*_MOMENTS, "end"]
    return [name, *(f"{median(r[m] for r in runs):.1f}" if m in runs[0] else "-" for m in moments)]


if __name__ == "__main__":
    main()
