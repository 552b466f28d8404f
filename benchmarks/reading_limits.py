"""What else the data engine promises, each measured in a process of its own. Called by reading.py.

    python benchmarks/reading_limits.py memory|trials|utilisation|verification SPEC.json

memory        reads a split ten times the stated bound, cache off; the caller watches the process tree
trials        trials of one node read an epoch at once; the caller counts downloads at the server
utilisation   rate of training with a cold and a warm cache over the rate with one batch held on the host
verification  processor time of hashing every shard, to be set against that of a cold epoch
"""

import dataclasses
import hashlib
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from process_memory import tree_bytes
from reading_epoch import plan_of
from reading_libraries import Spec

from unetpp.config import RunConfig, detect_hardware, resolve
from unetpp.core.manifest import Manifest, SplitInfo
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.ray_stream import stream_batches
from unetpp.data.stream.stream_plan import Position, StreamPlan
from unetpp.launch.connect import connected
from unetpp.training.loop.session import Request
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job

_BUFFERED_BYTES = 256 * 2**20
"""Blocks of one worker's execution in the object store, see data/stream/ray_stream.py."""
_PARTS_BYTES = 8 * 16 * 2**20
"""Under way in one process at most, see data/dataset/fetch.py."""
_TIMES_THE_BOUND = 10
_GOODPUT_ROWS = 256


def bound_bytes(plan: StreamPlan) -> int:
    """Stated bound of a worker's stream: what it and each reading task hold, and the blocks between them.

    That is two windows decoded, one window encoded, and of this the parts under way twice, as they come
    and joined.
    """
    shards = plan.manifest.splits["train"].shards
    decoded = max(shard.decoded_bytes for shard in shards)
    encoded = max(shard.bytes for shard in shards)
    window = max(plan.window_bytes, decoded)
    encoded_window = encoded * max(1, plan.window_bytes // decoded)
    process = 2 * window + encoded_window + 2 * min(encoded_window, _PARTS_BYTES)
    return (1 + plan.reading_tasks) * process + _BUFFERED_BYTES


def memory(spec: Spec) -> dict[str, Any]:
    plan = plan_of({**spec, "window_bytes": 64 * 2**20}, 1)
    plan = dataclasses.replace(plan, cache_bytes=0)
    train = plan.manifest.splits["train"]
    decoded = sum(shard.decoded_bytes for shard in train.shards)
    repeats = -(-_TIMES_THE_BOUND * bound_bytes(plan) // decoded)
    # The same objects under many places in the order: to a reader without a cache a split that much larger.
    larger = SplitInfo(rows=train.rows * repeats, shards=train.shards * repeats)
    plan = dataclasses.replace(plan, manifest=plan.manifest.model_copy(update={"splits": {"train": larger}}))
    with connected(None):
        # What Ray and the libraries take by themselves: a few MiB start every process.
        _consume(dataclasses.replace(plan_of(spec, 1, "small"), window_bytes=2**20, cache_bytes=0))
        base_bytes = tree_bytes(os.getpid())
        rows = _consume(plan)
    return {
        "rows": rows,
        "decoded_bytes": decoded * repeats,
        "bound_bytes": bound_bytes(plan),
        "base_bytes": base_bytes,
    }


def trials(spec: Spec) -> dict[str, Any]:
    plan = plan_of(spec, 1)
    with connected(None, workers=spec["trials"], cpus_per_worker=0.1):
        started_s = time.perf_counter()
        seeds = [dataclasses.replace(plan, seed=seed) for seed in range(spec["trials"])]
        rows = ray.get([_consume_remotely.remote(trial) for trial in seeds])
    shards = plan.manifest.splits["train"].shards
    return {
        "rows": rows,
        "seconds": time.perf_counter() - started_s,
        "shards": {Path(shard.name).name: shard.bytes for shard in shards},
    }


def verification(spec: Spec) -> dict[str, Any]:
    plan = plan_of(spec, 1)
    storage = open_storage(plan.uri)
    used_s = 0.0
    for shard in plan.manifest.splits["train"].shards:
        data = storage.read(shard.name)
        started_s = time.process_time()
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        used_s += time.process_time() - started_s
    return {"cpu_s": used_s}


def utilisation(spec: Spec) -> dict[str, Any]:
    """Images per second of a small network on 128 px crops: cold and warm epochs between held batches."""
    with connected(None):
        held = _train(spec, "held-before", _HeldSession(), epochs=2)
        real = _train(spec, "real", _Session(), epochs=5)
        held += _train(spec, "held-after", _HeldSession(), epochs=2)
    base = statistics.mean(epoch["images_per_s"] for epoch in held)
    warm = real[1:]
    return {
        "held_images_per_s": [epoch["images_per_s"] for epoch in held],
        "real_images_per_s": [epoch["images_per_s"] for epoch in real],
        "cold": real[0]["images_per_s"] / base,
        "warm": statistics.mean(epoch["images_per_s"] for epoch in warm) / base,
        "logged_cold": 1 - real[0]["data_wait"],
        "logged_warm": 1 - statistics.mean(epoch["data_wait"] for epoch in warm),
    }


class _Session:
    """One worker fed by Ray Data, as in a sweep's trial."""

    rank, world_size = 0, 1

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        return stream_batches(plan, rank=0, world_size=1, start=start)

    def report(self, metrics: Mapping[str, Any]) -> None:
        print(f"epoch {metrics['epoch']}: {metrics['images_per_s']:.2f} images/s", file=sys.stderr)

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:  # noqa: ARG002 - never asked to stop
        return Request.GO_ON


class _HeldSession(_Session):
    """The same batch at every step: what training costs when data costs nothing."""

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        from unetpp.data.stream.stream_plan import Unit
        from unetpp.data.stream.unit import open_reader, open_unit

        unit = open_unit(plan, Unit("train", 0, 0, 1), rank=0, world_size=1, reader=open_reader(plan))
        batch = next(iter(unit.batches()))
        for epoch, step in itertools.product(range(start.epoch, plan.epochs), range(plan.train_steps)):
            yield dataclasses.replace(batch, epoch=epoch, step=step)


def _train(spec: Spec, name: str, session: _Session, *, epochs: int) -> list[dict[str, Any]]:
    uri = f"{spec['bucket']}/ours"
    manifest = _first_rows(load_manifest(open_storage(uri)))
    fields = {
        "data": {"uri": uri, "batch_size": 16, "crop": 128, "drop_last": True, **spec["plan"]},
        "model": {"depth": 3, "width": 8},
        "train": {"epochs": epochs, "trackers": ()},
        "out": f"{spec['cache']}/utilisation-{name}",
    }
    config, _ = resolve(RunConfig.model_validate(fields), manifest, detect_hardware())
    RunDir(config.run_uri).create(config.model_dump(mode="json"), [], manifest, {})
    torch.set_num_threads(1)
    run_job(TrainJob(config, manifest, config.run_uri), session, torch.device("cpu"))
    return RunDir(config.run_uri).read_metrics()


def _first_rows(manifest: Manifest) -> Manifest:
    """As many shards as hold the rows that training gets through in seconds, in whole batches."""
    train = manifest.splits["train"]
    ends = list(itertools.accumulate(shard.rows for shard in train.shards))
    count = next((i + 1 for i, end in enumerate(ends) if end >= _GOODPUT_ROWS), len(ends))
    part = SplitInfo(rows=ends[count - 1], shards=train.shards[:count])
    return manifest.model_copy(update={"splits": {"train": part}})


@ray.remote(num_cpus=0)
def _consume_remotely(plan: StreamPlan) -> int:
    return _consume(plan)


def _consume(plan: StreamPlan) -> int:
    stream = stream_batches(plan, rank=0, world_size=1, start=Position())
    return sum(len(batch.images) for batch in itertools.islice(stream, plan.train_steps))


MODES: dict[str, Callable[[Spec], dict[str, Any]]] = {
    "memory": memory,
    "trials": trials,
    "utilisation": utilisation,
    "verification": verification,
}

if __name__ == "__main__":
    mode, spec_file = sys.argv[1:]
    print(json.dumps(MODES[mode](json.loads(Path(spec_file).read_text()))))
