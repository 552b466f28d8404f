"""An honest winner: the best trials trained again with other seeds and compared image by image.

A sweep's best score is the largest of many noisy ones. Here the best trials are trained again, each with
several seeds; their per-image scores on the validation split, averaged over seeds, are compared in pairs.
The test split is read once, for the winner, at the end.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from unetpp.config import RunConfig, replace
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.trial_folders import trial_uri
from unetpp.predict.evaluate import evaluate
from unetpp.predict.evaluation_files import evaluation_name, read_per_image
from unetpp.train.job import TrainJob
from unetpp.tune.leaderboard import LeaderRow
from unetpp.tune.significance import compare

__all__ = ["Candidate", "candidates", "confirm"]

_SEEDS = (1, 2, 3)
"""The sweep itself trained with the configured seed, 0 by default."""


@dataclass(frozen=True)
class Candidate:
    """A trial at its best level."""

    trial: int
    level: int
    config: RunConfig
    """Of the trial, every `auto` decided."""


def candidates(rows: list[LeaderRow], count: int, sweep_uri: str) -> list[Candidate]:
    """The best `count` complete trials, each at its best level; rows are best first."""
    best: dict[int, LeaderRow] = {}
    for row in rows:
        if row.state == "COMPLETE":
            best.setdefault(row.trial, row)
    found = []
    for row in list(best.values())[:count]:
        config = RunConfig.model_validate(RunDir(trial_uri(sweep_uri, row.trial)).read_config())
        found.append(Candidate(row.trial, row.level, config))
    return found


def confirm(
    chosen: list[Candidate], manifest: Manifest, sweep_uri: str, train: Callable[[TrainJob], bool]
) -> dict[str, Any]:
    """Train every candidate with every seed and compare them; what an earlier attempt finished is kept.

    Args:
        chosen: best first by the sweep's own scores.
        train: trains a job to its end, returns whether it finished.

    Returns:
        candidates: trial, level, mean per-image Dice over seeds, best first; against_winner: the winner's
        paired comparison with each other; distinguishable: whether the winner differs from the second;
        test: the winner's test scores, where there is a test split.
    """
    scores = {c.trial: _scores(c, manifest, sweep_uri, train) for c in chosen}
    ranked = sorted(chosen, key=lambda c: -_mean(scores[c.trial]))
    winner = ranked[0]
    against = {
        other.trial: asdict(found) | {"distinguishable": found.distinguishable}
        for other in ranked[1:]
        for found in [compare(scores[other.trial], scores[winner.trial], seed=0)]
    }
    result: dict[str, Any] = {
        "candidates": [
            {"trial": c.trial, "level": c.level, "dice_per_image": _mean(scores[c.trial])} for c in ranked
        ],
        "against_winner": against,
        "distinguishable": bool(against) and against[ranked[1].trial]["distinguishable"],
    }
    if manifest.splits.get("test") and manifest.splits["test"].rows:
        test = evaluate(_uri(sweep_uri, winner, _SEEDS[0]), split="test", level=winner.level)
        result["test"] = {
            key: test[key] for key in ("dice", "iou", "dice_per_image", "iou_per_image", "rows")
        }
    return result


def _scores(
    candidate: Candidate, manifest: Manifest, sweep_uri: str, train: Callable[[TrainJob], bool]
) -> dict[str, float]:
    """Per-image Dice on the validation split, averaged over seeds."""
    collected: dict[str, list[float]] = defaultdict(list)
    for seed in _SEEDS:
        uri = _uri(sweep_uri, candidate, seed)
        changes = {"train.seed": seed, "data.seed": seed, "out": uri, "name": ""}
        config, run = replace(candidate.config, changes), RunDir(uri)
        if not run.exists():
            decisions = RunDir(trial_uri(sweep_uri, candidate.trial)).read_decisions()
            run.create(config.model_dump(mode="json"), decisions, manifest, {})
        job = TrainJob(config, manifest, uri)
        if run.read_result() is None and train(job):
            run.write_result({"run": uri, "finished": True})
        evaluate(uri, split="val", level=candidate.level)
        deepest = candidate.level == candidate.config.model.depth
        name = evaluation_name("val", None if deepest else candidate.level)
        for row in read_per_image(run.storage, name):
            collected[row["sample_id"]].append(row["levels"][str(candidate.level)]["dice"])
    return {sample: sum(values) / len(values) for sample, values in collected.items()}


def _mean(scores: dict[str, float]) -> float:
    return sum(scores.values()) / len(scores)


def _uri(sweep_uri: str, candidate: Candidate, seed: int) -> str:
    return f"{sweep_uri}/confirm/{candidate.trial:04d}-seed{seed}"
