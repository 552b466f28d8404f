"""The yardstick of a sweep: Optuna and the plain loop in one process, nothing distributed.

Trains the trials of a finished sweep again, by their run folders, one after another, and tells an SQLite
study of every epoch. Prints each trial's times as JSON.

    python benchmarks/bare_study.py --study sqlite:///bare.db runs/sweep/trials/0000 runs/sweep/trials/0002
"""

import argparse
import json
import time

import optuna
import torch
from plain_loop import train_plain

from unetpp.config import RunConfig
from unetpp.core.rundir import RunDir


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", required=True, help="Optuna storage URL")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of this process")
    parser.add_argument("runs", nargs="+", help="run folders of a sweep's trials")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = optuna.create_study(
        storage=arguments.study, study_name="bare", direction="maximize", load_if_exists=True
    )
    print(json.dumps([_trial(study, run) for run in arguments.runs]))


def _trial(study: optuna.Study, run: str) -> dict[str, float]:
    trial, started_s = study.ask(), time.perf_counter()
    train_s: list[float] = []
    values: list[float] = []

    def after_epoch(epoch: dict[str, float]) -> None:
        train_s.append(epoch["train_s"])
        values.append(epoch["val"])
        trial.report(epoch["val"], len(values))

    result = train_plain(RunConfig.model_validate(RunDir(run).read_config()), after_epoch)
    study.tell(trial, max(values))
    return {
        "seconds": time.perf_counter() - started_s,
        "images_per_s": result["images_per_s"],
        "start_up_s": result["start_up_s"],
    }


if __name__ == "__main__":
    main()
