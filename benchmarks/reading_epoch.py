"""Epochs of one reader in a fresh process; prints one JSON object. Called by reading.py.

python benchmarks/reading_epoch.py READER SPEC.json EPOCHS
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from process_memory import processor_seconds
from reading_libraries import OPEN, RIVALS, Epoch, Spec

from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.stream.stream_plan import Position, StreamPlan

OURS, MAPPED = "unetpp", "pyarrow memory map"


def plan_of(spec: Spec, epochs: int, dataset: str = "ours") -> StreamPlan:
    """What a training run of one worker reads, with whole images."""
    uri = f"{spec['bucket']}/{dataset}"
    return StreamPlan(
        uri=uri,
        manifest=load_manifest(open_storage(uri)),
        batch_size=spec["batch_size"],
        crop=(256, 256),
        foreground=0.0,
        epochs=epochs,
        validate_every=epochs,
        seed=0,
        window_bytes=spec["window_bytes"],
        drop_last=False,
        reading_tasks=spec["workers"],
        **spec["plan"],
    )


def ours(spec: Spec) -> Epoch:
    """`stream_batches`, one execution for all epochs as in a training run; Ray is up before."""
    from unetpp.data.stream.ray_stream import stream_batches
    from unetpp.launch.connect import connected

    OPEN.enter_context(connected(None))
    plan = plan_of(spec, spec["epochs"])
    stream: Iterator[Any] | None = None

    def epoch() -> Iterable[tuple[Any, Any]]:
        nonlocal stream
        if stream is None:
            stream = stream_batches(plan, rank=0, world_size=1, start=Position())
        for _ in range(plan.train_steps):
            batch = next(stream)
            yield batch.images, batch.masks

    return epoch


def mapped(spec: Spec) -> Epoch:
    """The ceiling: rows of a local memory-mapped Arrow file copied into batches in random order."""
    table = pa.ipc.open_file(pa.memory_map(str(Path(spec["arrow"]) / "all.arrow"))).read_all()
    columns = [
        [np.frombuffer(value.as_buffer(), np.uint8).reshape(shape) for value in table[name]]
        for name, shape in (("image", (256, 256, 3)), ("mask", (256, 256)))
    ]

    def epoch() -> Iterable[tuple[Any, Any]]:
        order = np.random.default_rng(0).permutation(table.num_rows)
        for start in range(0, len(order), spec["batch_size"]):
            rows = order[start : start + spec["batch_size"]].tolist()
            images, masks = (np.stack([column[row] for row in rows]) for column in columns)
            yield images, masks

    return epoch


READERS: dict[str, Callable[[Spec], Epoch]] = {OURS: ours, MAPPED: mapped, **RIVALS}


def measure(epoch: Epoch) -> dict[str, float]:
    """Time, processor time of the whole process tree and images of one epoch."""
    cpu_s, started_s = processor_seconds(os.getpid()), time.perf_counter()
    first_s, images, touched = 0.0, 0, 0
    for batch_images, batch_masks in epoch():
        first_s = first_s or time.perf_counter() - started_s
        images += len(batch_images)
        touched += int(batch_images[-1, -1, -1, -1]) + int(batch_masks[-1, -1, -1])
    seconds = time.perf_counter() - started_s
    return {
        "first_s": first_s,
        "seconds": seconds,
        "images": images,
        "cpu_s": processor_seconds(os.getpid()) - cpu_s,
        "touched": touched,
    }


def main() -> None:
    reader, spec_file, epochs = sys.argv[1:]
    spec = {**json.loads(Path(spec_file).read_text()), "epochs": int(epochs)}
    try:
        epoch = READERS[reader](spec)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    with OPEN:
        print(json.dumps({"epochs": [measure(epoch) for _ in range(int(epochs))]}))


if __name__ == "__main__":
    main()
