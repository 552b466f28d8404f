#!/usr/bin/env bash
# Behaviour: Ray Train gives every worker equally many rows of EVERY data set by default and drops
# the rest: of 5 training rows on 2 workers one is never seen, of 3 validation rows one is never
# measured, in each epoch.
# Versions: ray 2.60.0.
# Why it hurts: small validation sets (20 patients on 8 workers: 16) are scored without some
# patients, and the score changes with the number of workers.
# Instead: DataConfig(datasets_to_split=['train']), so that validation goes whole to every worker,
# or pad.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq 'ray[data]==2.60.0' pydantic==2.14.4 numpy==2.4.6
cd "$work"
export RAY_USAGE_STATS_ENABLED=0
venv/bin/python -W ignore - <<'PY'
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import ray
from ray.train import DataConfig


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("ray",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: every row goes to one worker, some have one more")
ray.init(
    num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20,
    logging_level="ERROR", log_to_driver=False, _temp_dir=str(Path("ray").resolve()),
)
logging.disable(logging.WARNING)
ray.data.DataContext.get_current().enable_progress_bars = False


@ray.remote(num_cpus=0)
def rows(shard):
    return [int(row["id"]) for row in shard.iter_rows()]


def delivered(config):
    data = {"train": ray.data.range(5), "valid": ray.data.range(3)}
    shards = config.configure(data, 2, worker_handles=None, worker_node_ids=None)
    return {name: sorted(sum(ray.get([rows.remote(s[name]) for s in shards]), [])) for name in data}


whole = delivered(DataConfig(datasets_to_split=["train"]))
expect("rows of valid, split train only", [0, 0, 1, 1, 2, 2], whole["valid"])
default = delivered(DataConfig())
print("seen: rows on both workers:", default)
expect("training rows of 5 that a worker got", 4, len(set(default["train"])))
expect("validation rows of 3 that a worker got", 2, len(set(default["valid"])))
ray.shutdown()
PY
