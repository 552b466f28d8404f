"""Two trials, then two workers of one trial, on one logical GPU: prints what each was given.

A script, because a process has one Ray and this one must have a GPU that is not there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import ray
import ray.train

import unetpp.training.ray.trainer
import unetpp.tuning.sweep
from fakes import start_run, tiny_config, write_dataset
from machines import GIB, machine
from sweeps import SPACE, Recorder, epoch_metrics
from unetpp.compat.ray import few_processes
from unetpp.config import Hardware, load_config
from unetpp.config.planning.placement import concurrency
from unetpp.core.storage import open_storage
from unetpp.launch.cluster_hardware import cluster_nodes
from unetpp.launch.token import ensure_token
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import load_space
from unetpp.tuning.sweep import claim_sweep, run_sweep

HARDWARE = machine(4, 8 * GIB, 1, 8 * GIB)


class Meeting:
    """Knows whether all who are expected are there at once."""

    def __init__(self, expected: int) -> None:
        self._missing = expected

    def arrive(self) -> None:
        self._missing -= 1

    def complete(self) -> bool:
        return self._missing <= 0


def sweep(folder: Path) -> dict[str, Any]:
    meeting = ray.remote(num_cpus=0)(Meeting).remote(2)

    def trial(params: dict[str, Any], context: Any) -> None:
        from unetpp.tuning.ray.trainable import _Reporter

        ray.get(meeting.arrive.remote())
        while not ray.get(meeting.complete.remote()):
            pass
        given = ray.get_runtime_context().get_assigned_resources()
        (folder / f"trial{params['number']}").write_text(json.dumps(given))
        _Reporter(params["number"], context.board)(metrics)

    metrics = epoch_metrics(1, 0.5, finished=True) | {"loss": 1.0}
    unetpp.tuning.sweep.run_trial = trial
    (folder / "space.py").write_text(SPACE)
    fields = ["tune.trials=2", "train.epochs=1", "model.depth=2", "scale.gpu=true", "scale.cpus_per_worker=1"]
    places = [f"data.uri={folder / 'data'}", f"out={folder / 'sweep'}", "scale.gpus_per_worker=0.5"]
    config = load_config(None, [*places, *fields])
    setup = plan_sweep(config, load_space(folder / "space.py"), HARDWARE, resume=False)
    concurrent = concurrency(setup.resolved_base(), Hardware(cluster_nodes()))
    run_sweep(claim_sweep(setup, resume=False), Recorder(), concurrent)
    return {"concurrent": concurrent, "trials": _read(folder, "trial")}


def train(folder: Path) -> dict[str, Any]:
    def worker(arguments: Any) -> None:
        rank = ray.train.get_context().get_world_rank()
        given = ray.get_runtime_context().get_assigned_resources()
        (folder / f"worker{rank}").write_text(json.dumps(given))

    unetpp.training.ray.trainer.train_worker = worker
    scale = {"workers": 2, "gpu": True, "gpus_per_worker": 0.5, "cpus_per_worker": 1}
    config = tiny_config(str(folder / "data"), scale=scale).model_copy(update={"out": str(folder / "run")})
    job = start_run(config, write_dataset(folder / "data", {"train": 12, "val": 4}))
    unetpp.training.ray.trainer._trainer(job, None, open_storage(str(folder / "scratch")), 1).fit()
    return {"workers": _read(folder, "worker")}


def _read(folder: Path, name: str) -> list[dict[str, float]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob(f"{name}[0-9]"))]


if __name__ == "__main__":
    work = Path(sys.argv[1])
    ensure_token()
    with few_processes():
        ray.init(address="local", num_cpus=4, num_gpus=1, include_dashboard=False, log_to_driver=False)
    found = train(work) | sweep(work)
    ray.shutdown()
    sys.stdout.write(json.dumps(found) + "\n")
