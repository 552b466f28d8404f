"""Several runs side by side: scores, cost, what differs in their configuration, and whether it matters."""

from collections.abc import Mapping, Sequence
from typing import Any

from unetpp.config.load import flatten
from unetpp.config.run import RunConfig
from unetpp.core.errors import InputError
from unetpp.core.rundir import RunDir, epochs_done
from unetpp.inference.evaluation.files import read_per_image
from unetpp.models.cost import count_cost
from unetpp.objective.statistics.paired import compare_paired, corrected
from unetpp.report.run.data import RunData, load_run_data

__all__ = ["common_split", "compare_runs", "config_differences"]

_NAMES = frozenset({"out", "name"})


def compare_runs(run_uris: Sequence[str]) -> dict[str, Any]:
    """Compare runs on a split that all were evaluated on, else on their best validation.

    Returns:
        split (None: best validation), runs [{run, dice, iou, levels, params, macs, epochs, seconds}],
        config {field: [value per run]} where runs differ, and
        paired [{run, reference} and what a `Comparison` has]: per-image Dice of every other run minus that of
        the first, corrected for their number; empty without a common split.

    Raises:
        InputError: fewer than two runs, one named twice, or not a run.
    """
    if len(run_uris) < 2:
        raise InputError("compare needs at least two runs; name another one")
    runs = [load_run_data(uri) for uri in run_uris]
    repeated = [run.uri for index, run in enumerate(runs) if run.uri in [other.uri for other in runs[:index]]]
    if repeated:
        raise InputError(f"run {repeated[0]} is named twice; name each run once")
    split = common_split(runs)
    return {
        "split": split,
        "runs": [_summary(run, split) for run in runs],
        "config": config_differences([run.config for run in runs]),
        "paired": [] if split is None else _paired(runs, split),
    }


def common_split(runs: Sequence[RunData]) -> str | None:
    """The split every run was evaluated on over the same data: test, then val, then any other."""
    names = set.intersection(*[set(run.evaluations) for run in runs])
    same = [
        name for name in names if len({run.evaluations[name]["dataset"]["fingerprint"] for run in runs}) == 1
    ]
    return min(same, key=lambda name: ({"test": 0, "val": 1}.get(name, 2), name), default=None)


def config_differences(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Fields whose values are not the same in all configurations, except the runs' own names."""
    flat = [flatten(config) for config in configs]
    return {
        field: [config[field] for config in flat]
        for field in flat[0]
        if field not in _NAMES and any(config[field] != flat[0][field] for config in flat)
    }


def _summary(run: RunData, split: str | None) -> dict[str, Any]:
    if split is not None:
        scores: Mapping[str, Any] = run.evaluations[split]
    else:
        scores = run.best_epoch["val"] if run.best_epoch is not None else {}
    costs = count_cost(run.config.model, run.patch_px)
    deepest = costs[max(costs)]
    levels = {
        name: {"dice": values["dice"], "iou": values["iou"], "params": costs[int(name)].params}
        for name, values in scores.get("levels", {}).items()
    }
    return {
        "run": run.uri,
        "dice": scores.get("dice"),
        "iou": scores.get("iou"),
        "levels": levels,
        "params": deepest.params,
        "macs": deepest.macs,
        "epochs": epochs_done(run.epochs),
        "seconds": sum(float(epoch["seconds"]) for epoch in run.epochs),
        "finished": run.result is not None,
    }


def _paired(runs: Sequence[RunData], split: str) -> list[dict[str, Any]]:
    scores = [
        {row["sample_id"]: float(row["dice"]) for row in read_per_image(RunDir(run.uri).storage, split)}
        for run in runs
    ]
    others = [pair for pair in zip(runs[1:], scores[1:], strict=True) if len(pair[1]) > 1]
    compared = corrected([compare_paired(scores[0], other) for _, other in others])
    return [
        {"run": run.uri, "reference": runs[0].uri} | found.to_json()
        for (run, _), found in zip(others, compared, strict=True)
    ]
