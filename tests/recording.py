"""A Ray Train worker that writes down what it is fed, and dies where it was told to."""

import json
import os
import signal
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from unetpp.data.stream.batch import HostBatch
from unetpp.training.ray import worker
from unetpp.training.ray.entry import WorkerArguments, train_worker

_DELIVERED = "delivered.jsonl"
_KILL = "kill.json"


def recording_worker(arguments: WorkerArguments) -> None:
    """`train_worker`, with every rank's training batches appended to files beside the run."""
    folder = Path(f"{arguments['job'].run_uri}-recorded")
    stream = worker.stream_batches

    def recorded(*args: Any, rank: int, **kwargs: Any) -> Generator[HostBatch, None, None]:
        for batch in stream(*args, rank=rank, **kwargs):
            if batch.split == "train":
                _write_down(folder, rank, batch)
                _die_if_told(folder, rank, batch)
            yield batch

    worker.stream_batches = recorded
    train_worker(arguments)


def kill_at(run_uri: str, epoch: int, step: int) -> None:
    """Let rank 0 be killed, once, when it is fed that step."""
    folder = Path(f"{run_uri}-recorded")
    folder.mkdir(exist_ok=True)
    (folder / _KILL).write_text(json.dumps([epoch, step]))


def delivered(run_uri: str) -> dict[tuple[int, int], list[str]]:
    """Sample ids of every global batch by (epoch, step), forgetting what was delivered so far."""
    batches: dict[tuple[int, int], dict[int, list[str]]] = {}
    for file in sorted(Path(f"{run_uri}-recorded").glob(f"*-{_DELIVERED}")):
        for line in file.read_text().splitlines():
            epoch, step, rank, ids = json.loads(line)
            batches.setdefault((epoch, step), {})[rank] = ids
        file.unlink()
    return {key: _joined(ranks.values()) for key, ranks in batches.items()}


def _joined(parts: Iterable[list[str]]) -> list[str]:
    return [sample_id for part in parts for sample_id in part]


def _write_down(folder: Path, rank: int, batch: HostBatch) -> None:
    ids = [i for i, weight in zip(batch.sample_ids, batch.weights, strict=True) if weight > 0]
    folder.mkdir(exist_ok=True)
    with (folder / f"{rank}-{_DELIVERED}").open("a") as file:
        file.write(json.dumps([batch.epoch, batch.step, rank, ids]) + "\n")


def _die_if_told(folder: Path, rank: int, batch: HostBatch) -> None:
    order = folder / _KILL
    if rank == 0 and order.exists() and json.loads(order.read_text()) == [batch.epoch, batch.step]:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
