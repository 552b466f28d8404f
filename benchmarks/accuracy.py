"""What `train.minutes` reaches: the same command for every set and nothing else given, scored at native size.

Minutes are those of one thread of the CPU: other programs on the machine change nothing. Each training runs
in a process of its own, without Ray. Scored is the test split, or val where a set has no test rows.

    python benchmarks/accuracy.py --minutes 10 --work build/accuracy roads=data/camvid tiles=data/tiles cracks

Each NAME=URI is a packed dataset; `cracks` and `vessels` alone draw one with thin foreground.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accuracy_columns import HEADER, row_of, set_parser
from common import markdown
from in_process import OneThread
from thin_objects import THIN_SETS

from unetpp.api.machines import hardware_for
from unetpp.config import load_config
from unetpp.core.process_memory import keep_freed_memory
from unetpp.core.rundir import RunDir
from unetpp.inference.evaluate import evaluate
from unetpp.training.run.prepare import new_run
from unetpp.training.run.rank import run_job


def show_epoch(metrics: Mapping[str, Any]) -> None:
    score = metrics["val"]["dice"] if "val" in metrics else float("nan")
    print(f"  epoch {metrics['epoch']} loss {metrics['loss']:.4f} Dice {score:.4f}", file=sys.stderr)


def train_and_score(uri: str, out: str, minutes: float, overrides: list[str]) -> dict[str, Any]:
    """Train by the plan and score the best checkpoint; times are this process's CPU."""
    torch.set_num_threads(1)
    keep_freed_memory()
    fields = [
        f"data.uri={uri}",
        f"out={out}",
        f"train.minutes={minutes}",
        "train.trackers=[]",
        "scale.gpu=false",
    ]
    config = load_config(None, [*fields, *overrides])
    with hardware_for(config.scale) as hardware:
        job, decisions = new_run(config, hardware)
    for decision in decisions:
        print(f"  {decision.field} = {decision.value}  ({decision.reason})", file=sys.stderr)
    began_s = time.process_time()
    run_job(job, OneThread(show_epoch), torch.device("cpu"), time.process_time)
    spent_s = time.process_time() - began_s
    scores = evaluate(out)
    epochs = RunDir(out).read_metrics()
    return {
        **{key: scores[key] for key in ("split", "iou", "dice", "dice_per_image", "accuracy")},
        "classes": {entry["name"]: entry["iou"] for entry in scores["classes"]},
        "images": sum(epoch["images"] for epoch in epochs),
        "cpu_s": spent_s,
    }


def main() -> None:
    parser = set_parser(__doc__, "NAME=URI of a packed dataset, or cracks, or vessels")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--override", action="append", default=[], help="key=value, to compare")
    parser.add_argument("--one", nargs=2, metavar=("URI", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(train_and_score(*arguments.one, arguments.minutes, arguments.override)))
        return
    rows = []
    for entry in arguments.sets:
        name, _, uri = entry.partition("=")
        uri = uri or str(THIN_SETS[name](arguments.work / name))
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            print(f"{name}, seed {seed}", file=sys.stderr)
            found = _in_a_process(arguments, entry, uri, str(arguments.work / f"{name}-{seed}"), seed)
            rows.append((name, seed, *row_of(found["split"], found, found["images"], found["cpu_s"])))
            print(f"{name}, seed {seed}: {found}", file=sys.stderr)
    print(markdown(HEADER, rows))


def _in_a_process(arguments: argparse.Namespace, entry: str, uri: str, out: str, seed: int) -> dict[str, Any]:
    overrides = [*arguments.override, f"train.seed={seed}", f"data.seed={seed}"]
    command = [sys.executable, __file__, entry, "--work", str(arguments.work), "--one", uri, out]
    command += ["--minutes", str(arguments.minutes)]
    command += [part for override in overrides for part in ("--override", override)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
