r"""The wall time of the README's sweep of 16 trials, beside that of an earlier version.

Both versions run the settings of `sweep.py` on the same rows, packed by each as it does, one after the other
on a machine that does nothing else. Prints the wall time, the epochs that early stopping left, and the best
trial's score.

    git worktree add --detach build/before 12f0c1d
    python benchmarks/sweep_time.py --images DSB/images --masks DSB/masks --work build/sweep-time \
        --baseline build/before
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import optuna
from common import checkout_environment, markdown
from sweep import SETTINGS, SPACE

_CHECKOUT = Path(__file__).parents[1]
_PACKING = ("--size", "96", "--val", "0.1", "--test", "0.1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, help="folder of images")
    parser.add_argument("--masks", required=True, help="folder of masks")
    parser.add_argument("--baseline", required=True, type=Path, help="checkout of the earlier version")
    parser.add_argument("--work", required=True, type=Path, help="a new folder")
    parser.add_argument("--override", action="append", default=[], help="key=value, for both")
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    work.mkdir(parents=True)
    rows = []
    for name, checkout in {"now": _CHECKOUT, "earlier": arguments.baseline.resolve()}.items():
        data = str(work / f"{name}-data")
        sources = ("--images", arguments.images, "--masks", arguments.masks)
        run(checkout, "data", "pack", *sources, "--out", data, *_PACKING)
        out = work / name
        fields = (f"data.uri={data}", f"out={out}", *SETTINGS, *arguments.override)
        began_s = time.monotonic()
        run(checkout, "tune", SPACE, *fields)
        rows.append([name, f"{time.monotonic() - began_s:.0f}", *study_of(out)])
        print(rows[-1], flush=True)
    print(markdown(["version", "wall s", "trials", "epochs trained", "best val Dice"], rows))


def run(checkout: Path, *command: str) -> None:
    """Run a command of a checkout of the package."""
    subprocess.run([sys.executable, "-m", "unetpp", *command], env=checkout_environment(checkout), check=True)


def study_of(out: Path) -> list[str]:
    """Trials, epochs trained in all, and the best score."""
    study = optuna.load_study(study_name=out.name, storage=f"sqlite:///{out / 'study.db'}")
    epochs = sum(len(path.read_text().splitlines()) for path in out.glob("trials/*/metrics.jsonl"))
    return [str(len(study.trials)), str(epochs), f"{study.best_value:.4f}"]


if __name__ == "__main__":
    main()
