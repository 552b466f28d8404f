"""What predicting and evaluating cost beside an earlier version.

Each version runs the same commands in processes of its own, with one thread and in turns, so that other work
on the machine slows both; what counts is processor time, and the least of the turns. The time of a further
image leaves out what the same command takes for one image: imports and loading. Prints the ratios, and how
many pixels of the masks differ.

    git worktree add ../before COMMIT
    python benchmarks/evaluation.py --run RUN --images IMAGES --baseline ../before --work build/evaluation
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown
from PIL import Image

Times = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="a trained run; evaluations are written into it")
    parser.add_argument("--images", required=True, type=Path, help="folder of image files to predict")
    parser.add_argument("--split", default="val")
    parser.add_argument("--baseline", required=True, type=Path, help="checkout of the earlier version")
    parser.add_argument("--work", required=True, type=Path, help="folder for the masks")
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    work: Path = arguments.work
    checkouts = {"baseline": arguments.baseline, "now": Path(__file__).parents[1]}
    best: dict[str, Times] = {version: {} for version in checkouts}
    dice: dict[str, float] = {}
    for turn in range(arguments.turns):
        for version, checkout in checkouts.items():
            found, dice[version] = measure(checkout / "distributed", arguments, work / version)
            print(f"turn {turn + 1}, {version}: {found}", flush=True)
            best[version] = {name: min(best[version].get(name, s), s) for name, s in found.items()}
    print(table(best, dice))
    differing = share_differing(work / "baseline", work / "now")
    print(f"pixels of the masks that differ: {differing:.3%}")
    print(json.dumps({"cpu_s": best, "dice": dice, "differing": differing}))


def measure(package: Path, arguments: argparse.Namespace, out: Path) -> tuple[Times, float]:
    """Processor seconds of each task, and the split's Dice."""
    shutil.rmtree(out, ignore_errors=True)
    first = min(path for path in arguments.images.iterdir() if path.is_file())
    start_s, _ = run(package, "predict", arguments.run, str(first), "--out", str(out / "one"))
    all_s, predicted = run(package, "predict", arguments.run, str(arguments.images), "--out", str(out))
    evaluate_s, scores = run(package, "evaluate", arguments.run, "--split", arguments.split)
    return {
        "predict, one image": start_s,
        "predict, each further image": (all_s - start_s) / (predicted["predicted"] - 1),
        "evaluate, an image": evaluate_s / scores["rows"],
    }, scores["dice"]


def run(package: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """A command's processor time and its result."""
    command = [sys.executable, "-m", "unetpp", *arguments, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, env=environment, check=False, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, json.loads(done.stdout.splitlines()[-1])


def table(best: dict[str, Times], dice: dict[str, float]) -> str:
    """A row for each task."""
    rows = []
    for task, before_s in best["baseline"].items():
        now_s = best["now"][task]
        rows.append([task, f"{before_s:.3f}", f"{now_s:.3f}", f"{before_s / now_s:.2f}x"])
    rows.append(["Dice of the split", f"{dice['baseline']:.4f}", f"{dice['now']:.4f}", ""])
    return markdown(["CPU s", "baseline", "now", "ratio"], rows)


def share_differing(before: Path, now: Path) -> float:
    """Part of all pixels."""
    differing = pixels = 0
    for path in sorted(now.glob("*.png")):
        one, other = (np.asarray(Image.open(folder / path.name)) for folder in (before, now))
        differing += int((one != other).sum())
        pixels += one.size
    return differing / pixels


if __name__ == "__main__":
    main()
