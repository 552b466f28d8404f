"""One-shot dilation: a ranking by networks that share their weights against the networks trained alone.

Candidates are every level of a UNet++ at every vector of dilations in which two rows, the deepest ones
unless `--rows` names others, have 1, 2 or 4. Each seed trains one network for all of them, with one random
vector a step and with the sandwich of three, both without and with self-distillation, and every candidate
alone. Prints for both ways Kendall's tau between the shared network's Dice and that of the candidates alone
(mean over seeds), with the interval that holds 95 % of bootstrap resamples of the candidates; the regret:
Dice of the best candidate alone less that of the picked one alone; and seconds of CPU time. The tau between
two seeds of the candidates alone says how well anything could be ranked. Without Ray, one thread; what
`--work` holds already is not run again.

    python benchmarks/one_shot_dilation.py --data data/dsb96 --work build/one-shot-dilation
"""

import argparse
import itertools
import json
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from common import markdown
from scipy.stats import kendalltau

from unetpp.config import RunConfig, detect_hardware, load_config, resolve
from unetpp.config.dilations import distinct_networks
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import Position, StreamPlan, epoch_units
from unetpp.data.stream.unit import open_reader, open_unit
from unetpp.training.loop.session import Request
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job

_CHOICES = (1, 2, 4)
_SETTINGS = ("optim.lr=0.003", "train.trackers=[]", "train.precision=fp32", "model.norm=group")
_TRAININGS = {
    "one vector a step": (),
    "sandwich": ("train.sandwich=true",),
    "one vector a step, distilled": ("loss.distill=1",),
    "sandwich, distilled": ("train.sandwich=true", "loss.distill=1"),
}
"""Of the shared network, by name: what they set."""
_RESAMPLES = 2000
_INTERVAL_PERCENT = (2.5, 97.5)

Network = tuple[int, ...]
"""Dilations of rows 0..level."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset with a val split")
    parser.add_argument("--work", required=True, type=Path, help="folder for the runs")
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--rows", type=int, nargs=2, help="rows whose dilation is searched; the deepest two")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--shared-epochs", type=int, default=0, help="as many as alone unless given")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vectors = _vectors(arguments.depth, arguments.rows or [arguments.depth - 1, arguments.depth])
    levels = range(1, arguments.depth + 1)
    networks = [
        vector[: level + 1] for vector, found in distinct_networks(vectors, levels) for level in found
    ]
    alone = [
        {network: _alone(arguments, network, seed) for network in networks} for seed in range(arguments.seeds)
    ]
    truth = {network: fmean(runs[network]["dice"][network] for runs in alone) for network in networks}
    spread = fmean(
        abs(runs[network]["dice"][network] - truth[network]) for runs in alone for network in networks
    )
    rows = [
        [name, str(seed), *_judged(_shared(arguments, vectors, seed, fields), truth)]
        for name, fields in _TRAININGS.items()
        for seed in range(arguments.seeds)
    ]
    header = ["shared training", "seed", "tau", "95 %", "picked", "alone", "regret", "CPU s"]
    print(markdown(header, rows))
    best = max(truth, key=lambda network: truth[network])
    every = fmean(sum(run["cpu_s"] for run in runs.values()) for runs in alone)
    print(
        f"{len(networks)} candidates alone: best {_shown(best)} at Dice {truth[best]:.4f}, worst "
        f"{min(truth.values()):.4f}; a seed differs from the mean over {arguments.seeds} by {spread:.4f} on "
        f"average; {every:.0f} s of CPU time a seed"
    )
    if arguments.seeds > 1:
        one, other = ([runs[network]["dice"][network] for network in networks] for runs in alone[:2])
        low, high = _tau_interval(one, other)
        print(f"tau between two seeds of them alone: {_tau(one, other):.2f} [{low:.2f}, {high:.2f}]")


def _vectors(depth: int, rows: Sequence[int]) -> list[Network]:
    """Every vector that has one of the choices in each of the rows, and 1 in the others."""
    return [
        tuple(dict(zip(rows, chosen, strict=True)).get(row, 1) for row in range(depth + 1))
        for chosen in itertools.product(_CHOICES, repeat=len(rows))
    ]


def _judged(shared: dict[str, Any], truth: Mapping[Network, float]) -> list[str]:
    networks = list(truth)
    ranked = [shared["dice"][network] for network in networks]
    known = [truth[network] for network in networks]
    low, high = _tau_interval(ranked, known)
    picked = networks[int(np.argmax(ranked))]
    return [
        f"{_tau(ranked, known):.2f}",
        f"[{low:.2f}, {high:.2f}]",
        _shown(picked),
        f"{truth[picked]:.4f}",
        f"{max(known) - truth[picked]:.4f}",
        f"{shared['cpu_s']:.0f}",
    ]


def _tau(a: Sequence[float], b: Sequence[float]) -> float:
    return float(kendalltau(a, b).statistic)


def _tau_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    draws = (generator.integers(len(a), size=len(a)) for _ in range(_RESAMPLES))
    found = [_tau([a[i] for i in draw], [b[i] for i in draw]) for draw in draws]
    low, high = np.nanpercentile(found, _INTERVAL_PERCENT)
    return float(low), float(high)


def _shown(network: Network) -> str:
    return f"level {len(network) - 1} at {','.join(map(str, network))}"


def _alone(arguments: argparse.Namespace, network: Network, seed: int) -> dict[str, Any]:
    name = f"alone-{'.'.join(map(str, network))}"
    fields = [f"model.depth={len(network) - 1}", f"model.dilation={list(network)}"]
    return _run(arguments, name, fields, seed, arguments.epochs)


def _shared(
    arguments: argparse.Namespace, vectors: Sequence[Network], seed: int, fields: Sequence[str]
) -> dict[str, Any]:
    common = [
        f"model.depth={arguments.depth}",
        f"model.dilation={list(vectors[0])}",
        f"model.shared_dilations={[list(vector) for vector in vectors]}",
    ]
    epochs = arguments.shared_epochs or arguments.epochs
    kind = "-".join(field.replace("=", "") for field in fields) or "one"
    return _run(arguments, f"shared-{kind}-{epochs}", [*common, *fields], seed, epochs)


def _run(
    arguments: argparse.Namespace, name: str, fields: Sequence[str], seed: int, epochs: int
) -> dict[str, Any]:
    """Validation Dice of each network after the last epoch, and CPU seconds of training and scoring."""
    out: Path = arguments.work / f"seed{seed}" / name
    stored = out / "measured.json"
    if not stored.exists():
        config = load_config(
            None,
            [
                *_SETTINGS,
                *fields,
                f"data.uri={arguments.data}",
                f"out={out}",
                f"model.width={arguments.width}",
                f"data.crop={arguments.crop}",
                f"data.batch_size={arguments.batch}",
                f"train.epochs={epochs}",
                f"train.validate_every={epochs}",
                f"train.seed={seed}",
                f"data.seed={seed}",
            ],
        )
        stored.write_text(json.dumps(_trained(config)))
    found: dict[str, Any] = json.loads(stored.read_text())
    return {"cpu_s": found["cpu_s"], "dice": {tuple(network): dice for network, dice in found["dice"]}}


def _trained(config: RunConfig) -> dict[str, Any]:
    manifest = load_manifest(open_storage(config.data.uri))
    config, _ = resolve(config, manifest, detect_hardware())
    run = RunDir(config.run_uri)
    run.create(config.model_dump(mode="json"), [], manifest, {})
    started_s = time.process_time()
    run_job(TrainJob(config, manifest, config.run_uri), _Session(), torch.device("cpu"))
    cpu_s = time.process_time() - started_s
    *_, last = run.read_metrics()
    own = {"dilation": config.model.dilation, "levels": last["val"]["levels"]}
    dice = [
        (candidate["dilation"][: int(level) + 1], values["dice"])
        for candidate in last["val"].get("candidates", [own])
        for level, values in candidate["levels"].items()
    ]
    return {"cpu_s": cpu_s, "dice": dice}


class _Session:
    """One worker that reads its shards itself."""

    rank, world_size = 0, 1

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        for epoch in range(start.epoch, plan.epochs):
            for unit in epoch_units(plan, epoch, world_size=1, first_step=0):
                yield from open_unit(plan, unit, rank=0, world_size=1, reader=open_reader(plan)).batches()

    def report(self, metrics: Mapping[str, Any]) -> None:
        print(f"epoch {metrics['epoch']}: loss {metrics['loss']:.4f}", flush=True)

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:  # noqa: ARG002 - never asked to stop
        return Request.GO_ON


if __name__ == "__main__":
    main()
