"""Depth, dilation and loss weights searched: a trial each, against trials that hold all depths and dilations.

Both ways search the same space with the same sampler and early stopping for the same CPU time. What a sweep
would return after each trial, its best network so far, is trained alone with new seeds; their mean test
Dice is what the sweep has found by then. The table has what the best of the last `--confirmed` has, chosen by
its validation Dice alone, and the epochs and seconds after which either way first had a network as good as
what the worse way of the seed ended with. In this process, one thread; what `--work` holds is not run again.

    python benchmarks/one_shot_search.py --data data/dsb96 --work build/one-shot-search --minutes 2.5
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from common import markdown
from in_process import Sweeping, run_sweep_here, train_here

from unetpp.config import RunConfig, replace
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.inference.evaluate import evaluate
from unetpp.tuning.repeats import planned_digest
from unetpp.tuning.results.confirm import Candidate, candidates
from unetpp.tuning.results.leaderboard import leaderboard

_SPACE = str(Path(__file__).parents[1] / "search_spaces" / "depth_dilation_loss.py")
_SETTINGS = (
    "model.norm=group", "optim.lr=0.003", "train.precision=fp32", "tune.trials=1000",
    "tune.reduction_factor=2",
)  # fmt: skip
_WAYS = {"a trial each": (), "depth+dilation in one": ("tune.one_shot=depth+dilation",)}


@dataclass(frozen=True)
class _Moment:
    """After a trial."""

    cpu_s: float
    epochs: int
    test: float
    """Dice of the best network so far, trained alone."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset with val and test splits")
    parser.add_argument("--work", required=True, type=Path, help="folder for sweeps and runs")
    parser.add_argument("--minutes", type=float, default=2.5, help="of CPU time for each sweep")
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--crop", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--alone-seeds", type=int, default=2)
    parser.add_argument("--confirmed", type=int, default=3, help="best networks that are confirmed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in arguments.seed:
        found = {way: _searched(arguments, way, fields, seed) for way, fields in _WAYS.items()}
        target = min(max(moment.test for moment in moments) for moments, _ in found.values())
        rows += [
            [seed, way, *_row(moments, confirmed, target)] for way, (moments, confirmed) in found.items()
        ]
    header = [
        "seed", "way", "trials", "epochs", "CPU s", "winner", "its test Dice", "epochs to the same Dice",
        "CPU s",
    ]  # fmt: skip
    print(markdown(header, rows))


def _row(moments: Sequence[_Moment], confirmed: dict[str, Any], target: float) -> list[Any]:
    reached = next(moment for moment in moments if moment.test >= target)
    last = moments[-1]
    return [
        len(moments), last.epochs, f"{last.cpu_s:.0f}", confirmed["name"], confirmed["test"],
        f"{reached.epochs} to {target:.4f}", f"{reached.cpu_s:.0f}",
    ]  # fmt: skip


def _searched(
    arguments: argparse.Namespace, way: str, fields: Sequence[str], seed: int
) -> tuple[list[_Moment], dict[str, Any]]:
    """A way's moments, and the best of its last three networks."""
    out = arguments.work / f"{'shared' if fields else 'each'}-{seed}"
    stored = out.with_suffix(".json")
    if not stored.exists():
        stored.write_text(json.dumps(_sweep(arguments, out, fields, seed)))
    kept = json.loads(stored.read_text())
    print(f"seed {seed}, {way}: {kept['moments']}", flush=True)
    last = kept["last"][: arguments.confirmed]
    needed = {digest for *_, digest in kept["moments"] if digest} | set(last)
    alone = {digest: _alone(arguments, kept["networks"][digest]) for digest in sorted(needed)}
    moments = [
        _Moment(cpu_s, epochs, alone[digest]["test"]) for cpu_s, epochs, digest in kept["moments"] if digest
    ]
    best = max((alone[digest] for digest in last), key=lambda scores: scores["val"])
    return moments, best


def _sweep(arguments: argparse.Namespace, out: Path, fields: Sequence[str], seed: int) -> dict[str, Any]:
    networks: dict[str, Any] = {}
    moments: list[tuple[float, int, str]] = []
    last: list[str] = []

    def goes_on(where: Sweeping) -> bool:
        chosen = candidates(leaderboard(where.study), arguments.confirmed, where.uri)
        last[:] = [_kept(candidate, networks) for candidate in chosen]
        moments.append((where.cpu_s, where.epochs, last[0] if last else ""))
        return where.cpu_s < arguments.minutes * 60

    half = arguments.epochs // 2
    run_sweep_here(
        _SPACE,
        [
            *_SETTINGS, *fields, f"data.uri={arguments.data}", f"out={out}", f"model.width={arguments.width}",
            "model.depth=4", f"data.crop={arguments.crop}", f"data.batch_size={arguments.batch}",
            f"train.epochs={arguments.epochs}", f"train.validate_every={half}", f"tune.grace_epochs={half}",
            f"tune.seed={seed}", f"train.seed={seed}", f"data.seed={seed}",
        ],
        goes_on,
    )  # fmt: skip
    return {"networks": networks, "moments": moments, "last": last}


def _kept(candidate: Candidate, networks: dict[str, Any]) -> str:
    # One row counts: the deepest, which is the candidate's own.
    config = replace(candidate.config, {"train.validate_every": candidate.config.train.epochs})
    digest = f"{planned_digest(config)[:12]}-{candidate.level}"
    networks[digest] = {"level": candidate.level, "config": config.model_dump(mode="json")}
    return digest


def _alone(arguments: argparse.Namespace, network: dict[str, Any]) -> dict[str, Any]:
    """Mean Dice of a network over new seeds, on both splits, after its last epoch."""
    config, level = RunConfig.model_validate(network["config"]), int(network["level"])
    digest = hashlib.sha256(json.dumps(network, sort_keys=True).encode()).hexdigest()[:12]
    scores = []
    for seed in range(100, 100 + arguments.alone_seeds):
        out = arguments.work / "alone" / f"{digest}-{seed}"
        stored = out / "scores.json"
        if not stored.exists():
            changed = replace(config, {"out": str(out), "train.seed": seed, "data.seed": seed})
            train_here(changed, load_manifest(open_storage(changed.data.uri)))
            found = {split: evaluate(str(out), split=split, level=level)["dice"] for split in ("val", "test")}
            stored.write_text(json.dumps(found))
        scores.append(json.loads(stored.read_text()))
    dilation = config.model.dilation
    rows = dilation[: level + 1] if isinstance(dilation, tuple) else (dilation,) * (level + 1)
    return {
        "name": f"level {level} at {','.join(map(str, rows))}",
        "val": fmean(entry["val"] for entry in scores),
        "test": fmean(entry["test"] for entry in scores),
    }


if __name__ == "__main__":
    main()
