"""Confirmation of the winner: the best trials trained again with other seeds and compared image by image.

A sweep's best score is the largest of many noisy ones. Here the best trials are trained again, each with
several seeds; their per-image scores on the validation split, averaged over seeds, are compared in pairs.
The test split is read once, for the winner, at the end.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from unetpp.config import RunConfig, replace
from unetpp.config.dilations import Dilation
from unetpp.config.sections.train import TrainConfig
from unetpp.config.stored import stored_config
from unetpp.core.manifest import Manifest
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.files import evaluation_name, read_per_image
from unetpp.objective.statistics.paired import compare_paired, corrected
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob
from unetpp.tuning.results.confirmed import CONFIRM_FOLDER, candidate_key, network_name, write_confirmed
from unetpp.tuning.results.leaderboard import LeaderRow, complete_rows

__all__ = ["Candidate", "candidates", "confirm"]

_NUM_SEEDS = 3


@dataclass(frozen=True)
class Candidate:
    """A trial at its best level, or one network of a trial whose weights several share."""

    trial: int
    level: int
    config: RunConfig
    """Of a training of its own, every `auto` decided."""
    dilation: Dilation | None = None
    """Of the network, where the trial had several."""

    @property
    def key(self) -> str:
        """Tells the candidates of a sweep apart."""
        return candidate_key(self.trial, self.level, self.dilation)


def candidates(rows: list[LeaderRow], at_most: int, sweep_uri: str) -> list[Candidate]:
    """The best `at_most` complete trials, each at its best level; rows are best first.

    Of trials whose weights several networks share, the best of all these networks. Those that began with the
    weights of another trial begin with random ones here.
    """
    found = []
    for row in complete_rows(rows)[:at_most]:
        run = RunDir(trial_uri(sweep_uri, row.trial))
        config = stored_config(run.read_config(), run.uri)
        if row.dilation is not None:
            config = _alone(config, row.level, row.dilation)
        if row.inherits is not None:
            config = replace(config, {"train.init": ""})
        if config.tune.scheduler == "pbt":
            # Nobody takes these over.
            config = replace(config, {"train.keep_checkpoints": TrainConfig().keep_checkpoints})
        found.append(Candidate(row.trial, row.level, config, row.dilation))
    return found


def _alone(config: RunConfig, level: int, dilation: Dilation) -> RunConfig:
    """A training of one network that shared its weights: as deep as its level, at its own dilations."""
    widths, pool = config.model.widths, config.model.pool
    return replace(
        config,
        {
            "model.depth": level,
            "model.dilation": dilation,
            "model.shared_dilations": (),
            "model.widths": None if widths is None else widths[: level + 1],
            "model.pool": None if pool is None else pool[:level],
            "train.sandwich": False,
        },
    )


def confirm(
    chosen: list[Candidate], manifest: Manifest, sweep_uri: str, train: Callable[[TrainJob], bool]
) -> dict[str, Any] | None:
    """Train every candidate with every seed, compare them and keep the result in the sweep's folder.

    What an earlier attempt finished is used again; what it left unfinished goes on from its checkpoint.

    Args:
        chosen: best first by the sweep's own scores, at least one.
        manifest: the dataset's.
        sweep_uri: the sweep's folder.
        train: trains a job to its end, returns whether it finished.

    Returns:
        candidates: trial, level, dilation of a network that shared its weights, mean per-image Dice over
        seeds, seeds and the first seed's run below the sweep's folder, best first; against_winner: by
        `candidate_key`, the winner's paired comparison with each other; distinguishable: whether the winner
        differs from the second; test: the winner's test scores, where there is a test split. None if a
        training was stopped.
    """
    scores: dict[str, dict[str, float]] = {}
    for candidate in chosen:
        found = _scores(candidate, manifest, sweep_uri, train)
        if found is None:
            return None
        scores[candidate.key] = found
    ranked = sorted(chosen, key=lambda c: -_mean(scores[c.key]))
    result = _compared(ranked, scores)
    if manifest.splits.get("test") and manifest.splits["test"].rows:
        winner = ranked[0]
        test = evaluate(f"{sweep_uri}/{_folder(winner, _seeds(winner)[0])}", split="test", level=winner.level)
        result["test"] = {
            key: test[key] for key in ("dice", "iou", "dice_per_image", "iou_per_image", "rows")
        }
    write_confirmed(sweep_uri, result)
    return result


def _compared(ranked: list[Candidate], scores: dict[str, dict[str, float]]) -> dict[str, Any]:
    winner = ranked[0]
    compared = corrected([compare_paired(scores[other.key], scores[winner.key]) for other in ranked[1:]])
    against = {other.key: found.to_json() for other, found in zip(ranked[1:], compared, strict=True)}
    return {
        "candidates": [
            {
                "trial": c.trial,
                "level": c.level,
                **({} if c.dilation is None else {"dilation": list(c.dilation)}),
                "dice_per_image": _mean(scores[c.key]),
                "seeds": _seeds(c),
                "run": _folder(c, _seeds(c)[0]),
            }
            for c in ranked
        ],
        "against_winner": against,
        "distinguishable": bool(against) and against[ranked[1].key]["distinguishable"],
    }


def _scores(
    candidate: Candidate, manifest: Manifest, sweep_uri: str, train: Callable[[TrainJob], bool]
) -> dict[str, float] | None:
    """Per-image Dice on the validation split, averaged over seeds; None if a training was stopped."""
    collected: dict[str, list[float]] = defaultdict(list)
    for seed in _seeds(candidate):
        run = _trained(candidate, seed, manifest, sweep_uri, train)
        if run is None:
            return None
        evaluate(run.uri, split="val", level=candidate.level)
        deepest = candidate.level == candidate.config.model.depth
        name = evaluation_name("val", None if deepest else candidate.level)
        for row in read_per_image(run.storage, name):
            collected[row["sample_id"]].append(row["levels"][str(candidate.level)]["dice"])
    return {sample: sum(values) / len(values) for sample, values in collected.items()}


def _trained(
    candidate: Candidate,
    seed: int,
    manifest: Manifest,
    sweep_uri: str,
    train: Callable[[TrainJob], bool],
) -> RunDir | None:
    """The candidate's run with a seed, trained to its end; None if it was stopped before."""
    uri = f"{sweep_uri}/{_folder(candidate, seed)}"
    changes = {"train.seed": seed, "data.seed": seed, "out": uri, "name": ""}
    config, run = replace(candidate.config, changes), RunDir(uri)
    if not run.exists():
        decisions = RunDir(trial_uri(sweep_uri, candidate.trial)).read_decisions()
        create_run(config, decisions, manifest, {})
    if run.read_result() is None:
        if not train(TrainJob(config, manifest, uri)):
            return None
        run.write_result({"run": uri, "finished": True})
    return run


def _seeds(candidate: Candidate) -> list[int]:
    """Those that the trial itself, by whose score it was chosen, was not trained with."""
    own = {candidate.config.train.seed, candidate.config.data.seed}
    return list(islice((seed for seed in count(1) if seed not in own), _NUM_SEEDS))


def _mean(scores: dict[str, float]) -> float:
    return sum(scores.values()) / len(scores)


def _folder(candidate: Candidate, seed: int) -> str:
    network = "" if candidate.dilation is None else f"-{network_name(candidate.level, candidate.dilation)}"
    return f"{CONFIRM_FOLDER}/{candidate.trial:04d}{network}-seed{seed}"
