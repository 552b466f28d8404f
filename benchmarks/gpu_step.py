"""Training steps on one CUDA device: images a second, share of its bf16 peak, memory; two minutes.

UNet++ of depth 4 and width 32 at 256 px, as `unetpp train` steps it: batches from the host through pinned
memory, augmented on the device, bf16, channels-last, AdamW. The peak is measured here by multiplying large
bf16 matrices; a step's arithmetic is three times that of its forward convolutions. Batches double until the
device's memory is full.

    python benchmarks/gpu_step.py
    python benchmarks/gpu_step.py --compile --batches 32 64
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import markdown

from unetpp.config import RunConfig, load_config
from unetpp.config.planning.described import described_dataset
from unetpp.core.manifest import ChannelStats
from unetpp.data.stream.batch import HostBatch
from unetpp.models.cost import count_cost
from unetpp.training.loop.device_batch import to_device
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import train_step

_WARM_UP_STEPS = 3
_MATRIX_SIDE = 8192
_CHANNELS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="with train.compile=true")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit(
            "gpu_step.py measures a CUDA device and torch sees none; install a build of torch for CUDA "
            f"(this one is {torch.__version__}) and check that nvidia-smi lists a device"
        )
    print(_table(arguments))


def _table(arguments: argparse.Namespace) -> str:
    device = torch.device("cuda")
    peak_flops = _peak_flops(device)
    total_mib = torch.cuda.get_device_properties(device).total_memory / 2**20
    print(
        f"{torch.cuda.get_device_name(device)}, {total_mib:.0f} MiB, torch {torch.__version__}, "
        f"measured bf16 peak {peak_flops / 1e12:.0f} TFLOP/s"
    )
    rows = []
    for batch in arguments.batches:
        try:
            seconds, memory_bytes, flops = _measure(arguments, batch, device)
        except torch.cuda.OutOfMemoryError:
            print(f"a batch of {batch} exceeds the device's memory")
            break
        rows.append(
            (
                batch,
                f"{batch / seconds:.0f}",
                f"{1000 * seconds:.1f}",
                f"{flops * batch / seconds / peak_flops:.1%}",
                f"{memory_bytes / 2**20:.0f}",
            )
        )
    return markdown(("batch", "images/s", "ms a step", "of the peak", "peak memory, MiB"), rows)


def _measure(arguments: argparse.Namespace, batch: int, device: torch.device) -> tuple[float, int, float]:
    """Seconds a step, most bytes of memory, and floating-point operations an image."""
    config = _config(arguments, batch)
    size_px = (arguments.size, arguments.size)
    stats = ChannelStats(mean=127.0, std=64.0, p01=0.0, p50=127.0, p99=255.0)
    manifest = described_dataset(f"{batch}x{arguments.size}x{arguments.size}x{_CHANNELS}")
    manifest = manifest.model_copy(update={"channel_stats": (stats,) * _CHANNELS})
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    learner = Learner(config, manifest, total_steps=1000, device=device)
    step = _stepper(config, learner, batch, size_px)
    for number in range(_WARM_UP_STEPS):
        step(number)
    seconds = _device_s(lambda: [step(number) for number in range(arguments.steps)]) / arguments.steps
    macs = count_cost(config.model, size_px)[arguments.depth].macs
    return seconds, torch.cuda.max_memory_allocated(device), 3 * 2.0 * macs


def _stepper(
    config: RunConfig, learner: Learner, batch: int, size_px: tuple[int, int]
) -> Callable[[int], Any]:
    generator = np.random.default_rng(0)
    host = HostBatch(
        split="train",
        epoch=0,
        step=0,
        global_size=batch,
        images=generator.integers(0, 256, (batch, *size_px, _CHANNELS), dtype=np.uint8),
        masks=generator.integers(0, 2, (batch, *size_px), dtype=np.uint8),
        weights=np.ones(batch, dtype=np.float32),
        positions=np.arange(batch, dtype=np.int64),
        labels=np.full(batch, -1, dtype=np.int64),
        sample_ids=tuple(map(str, range(batch))),
    )

    def step(number: int) -> Any:
        on_device = to_device(host, learner, augment=config.augment, seed=0)
        options = {"accumulate": 1, "clip": config.train.clip, "world_size": 1, "seed": (0, number, 0)}
        return train_step(learner, on_device, **options)

    return step


def _config(arguments: argparse.Namespace, batch: int) -> RunConfig:
    fields = {
        "data.uri": "none", "data.crop": arguments.size, "data.batch_size": batch, "model.spatial_dims": 2,
        "model.depth": arguments.depth, "model.width": arguments.width, "model.in_channels": _CHANNELS,
        "model.num_classes": 1, "model.image_classes": 0, "train.precision": "bf16", "train.sync_bn": "false",
        "train.compile": str(arguments.compile).lower(),
    }  # fmt: skip
    return load_config(None, [f"{name}={value}" for name, value in fields.items()])


def _peak_flops(device: torch.device) -> float:
    left, right = (
        torch.randn(_MATRIX_SIDE, _MATRIX_SIDE, device=device, dtype=torch.bfloat16) for _ in range(2)
    )
    _device_s(lambda: left @ right)
    return 2 * _MATRIX_SIDE**3 / min(_device_s(lambda: left @ right) for _ in range(20))


def _device_s(work: Callable[[], Any]) -> float:
    """Seconds until the device has done what the host asks for."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
