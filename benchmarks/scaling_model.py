"""What 1 to 256 GPUs could reach, on paper: compute, gradients, stragglers and reads of one optimiser step.

Only `--images-per-s` is measured, with one GPU (a run's `images_per_s`); all else is arithmetic over the
assumptions below, which are printed with the table. It bounds what the hardware allows and predicts no run:
start-up, validation and checkpoints are left out. Weak scaling keeps the batch of each GPU, strong scaling
the global batch, which is what `data.batch_size` does.

    python benchmarks/scaling_model.py --images-per-s 700
"""

import argparse
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

_GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BACKWARD_SHARE = 2 / 3
"""Of a step's compute; gradients are sent while it runs."""
_GET_BYTES = 8 * 2**20
_GET_PER_S_PER_PREFIX = 5500
"""AWS's documented baseline for one prefix of a bucket."""


@dataclass(frozen=True)
class Assumptions:
    """Per GPU unless a name says node; bandwidths are what one can use, not what is printed on the box."""

    images_per_s: float = 700.0
    batch: int = 16
    global_batch: int = 256
    step_overhead_s: float = 0.003
    """Launches, optimiser and bookkeeping, whatever the batch."""
    step_cv: float = 0.03
    """Standard deviation of a GPU's step over its mean."""
    gradient_bytes: int = 4 * 9_163_428
    """fp32, of the published network with deep supervision; `unetpp train` casts activations only."""
    bytes_per_image: int = 161_000
    """lz4 shards of 256 px RGB and a mask."""
    gpus_per_node: int = 8
    nvlink_bytes_per_s: float = 200e9
    network_bytes_per_s_per_node: float = 10e9
    """100 Gbit/s."""
    storage_bytes_per_s_per_node: float = 2.5e9
    """25 Gbit/s to the object store."""
    hop_s: float = 20e-6
    overlap: float = 0.7
    """Of the backward pass during which gradients really travel."""


@dataclass(frozen=True)
class Prediction:
    images_per_s: float
    efficiency: float
    """Of the rate of one GPU with a large batch, times the number of GPUs."""
    bound: str


def predict(gpus: int, batch: float, assume: Assumptions) -> Prediction:
    """One step of `batch` images a GPU.

    The all-reduce is hierarchical: over NVLink inside a node, then one copy of the gradients per node in a
    ring over the nodes. The slowest of n GPUs takes 1 + cv sqrt(2 ln n) of the mean, as for n normal draws.
    """
    local = min(gpus, assume.gpus_per_node)
    nodes = math.ceil(gpus / assume.gpus_per_node)
    mean_s = assume.step_overhead_s + batch / assume.images_per_s
    compute_s = mean_s * (1 + assume.step_cv * math.sqrt(2 * math.log(gpus)))
    reduce_s = _ring(local, assume.gradient_bytes, assume.nvlink_bytes_per_s, assume.hop_s)
    reduce_s += _ring(nodes, assume.gradient_bytes, assume.network_bytes_per_s_per_node, assume.hop_s)
    exposed_s = max(0.0, reduce_s - assume.overlap * _BACKWARD_SHARE * compute_s)
    read_s = batch * local * assume.bytes_per_image / assume.storage_bytes_per_s_per_node
    step_s = max(compute_s + exposed_s, read_s)
    costs = {
        "compute": batch / assume.images_per_s,
        "overhead": assume.step_overhead_s,
        "gradients": exposed_s,
        "stragglers": compute_s - mean_s,
    }
    bound = "reads" if read_s == step_s else max(costs, key=lambda name: costs[name])
    rate = gpus * batch / step_s
    return Prediction(rate, rate / gpus / assume.images_per_s, bound)


def _ring(members: int, payload_bytes: int, bytes_per_s: float, hop_s: float) -> float:
    """Reduce-scatter and all-gather: each member sends 2 (n-1)/n of the payload in 2 (n-1) hops."""
    return 2 * (members - 1) * (payload_bytes / members / bytes_per_s + hop_s)


def table(assume: Assumptions) -> Iterator[str]:
    total = assume.global_batch
    yield (
        f"| GPUs | {assume.batch} images a GPU: images/s | efficiency | read, GB/s | GETs/s "
        f"| {total} images a batch: a GPU | images/s | efficiency | largest part |"
    )
    yield "| --- " * 9 + "|"
    for gpus in _GPUS:
        weak, strong = predict(gpus, assume.batch, assume), predict(gpus, total / gpus, assume)
        read_bytes_per_s = weak.images_per_s * assume.bytes_per_image
        yield (
            f"| {gpus} | {weak.images_per_s:,.0f} | {weak.efficiency:.0%} | {read_bytes_per_s / 1e9:.2f} "
            f"| {read_bytes_per_s / _GET_BYTES:,.0f} | {total / gpus:g} | {strong.images_per_s:,.0f} "
            f"| {strong.efficiency:.0%} | {strong.bound} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in dataclasses.fields(Assumptions):
        kind = int if isinstance(field.default, int) else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    assume = Assumptions(**vars(parser.parse_args()))
    print("\n".join(f"{name} = {value:,g}" for name, value in dataclasses.asdict(assume).items()))
    print(
        f"GETs of {_GET_BYTES // 2**20} MiB; one prefix of a bucket serves {_GET_PER_S_PER_PREFIX:,} a second"
    )
    print("\n".join(["", *table(assume)]))


if __name__ == "__main__":
    main()
