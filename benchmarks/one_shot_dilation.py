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
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from common import markdown
from in_process import train_here
from scipy.stats import kendalltau

from unetpp.config import RunConfig, detect_hardware, load_config, resolve
from unetpp.config.dilations import distinct_networks
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest

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
    parser.add_argument(
        "--every", type=int, default=1, help="train every N-th candidate alone, and rank those"
    )
    parser.add_argument(
        "--undistilled", action="store_true", help="leave out the trainings with distillation"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vectors = _vectors(arguments.depth, arguments.rows or [arguments.depth - 1, arguments.depth])
    levels = range(1, arguments.depth + 1)
    every = [vector[: level + 1] for vector, found in distinct_networks(vectors, levels) for level in found]
    networks = every[:: arguments.every]
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
        if not (arguments.undistilled and "loss.distill=1" in fields)
        for seed in range(arguments.seeds)
    ]
    header = ["shared training", "seed", "tau", "95 %", "picked", "alone", "regret", "CPU s"]
    print(markdown(header, rows))
    best = max(truth, key=lambda network: truth[network])
    cpu_s = fmean(sum(run["cpu_s"] for run in runs.values()) for runs in alone)
    print(
        f"{len(networks)} of {len(every)} candidates alone: best {_shown(best)} at Dice {truth[best]:.4f}, "
        f"worst {min(truth.values()):.4f}; a seed differs from the mean over {arguments.seeds} by "
        f"{spread:.4f} on average; {cpu_s:.0f} s of CPU time a seed, "
        f"{cpu_s / len(networks) * len(every):.0f} s for all at their mean"
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
        shutil.rmtree(out, ignore_errors=True)  # cut off: its time would be that of a part
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
    cpu_s = train_here(config, manifest)
    *_, last = RunDir(config.run_uri).read_metrics()
    own = {"dilation": config.model.dilation, "levels": last["val"]["levels"]}
    dice = [
        (candidate["dilation"][: int(level) + 1], values["dice"])
        for candidate in last["val"].get("candidates", [own])
        for level, values in candidate["levels"].items()
    ]
    return {"cpu_s": cpu_s, "dice": dice}


if __name__ == "__main__":
    main()
