"""Score a run on any split, sample by sample, at every level.

Memory does not grow with the split beyond one line of scores a sample.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import choose_split, load_manifest, require_shards
from unetpp.data.stream.folds import FOLDED
from unetpp.inference.device import pick_device
from unetpp.inference.engines.network import Network
from unetpp.inference.ensemble.load import refuse_repeated, with_folds
from unetpp.inference.evaluation.files import write_evaluation
from unetpp.inference.evaluation.fitting import check_fitting, keep_fitted
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.evaluation.overlap import count_overlap
from unetpp.inference.evaluation.parts import Part, cut_parts
from unetpp.inference.evaluation.place import evaluation_place
from unetpp.inference.evaluation.plan_stages import load_networks
from unetpp.inference.evaluation.stages import Stage
from unetpp.inference.evaluation.tally import Tally
from unetpp.inference.evaluation.work import EvaluateWork, PartScorer, Scored, in_order
from unetpp.models.latency import measure_levels_s
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["Runner", "check_dataset", "evaluate"]

Runner = Callable[[EvaluateWork, Sequence[Part]], Iterator[Scored]]
"""Has parts of the split scored, in other processes; gives what became of each in whatever order."""
_DEFAULT = EvaluateOptions()


def evaluate(
    models: str | Sequence[str],
    *,
    split: str | None = None,
    data_uri: str | None = None,
    level: int | None = None,
    options: EvaluateOptions = _DEFAULT,
    run: Runner | None = None,
    on_rows: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Score the best checkpoint of a run, a file or several together, and write `evaluations/<split>`.

    Samples keep their stored size; those larger than the window are predicted window by window.

    Args:
        models: a run, a cross-validation or a file that `export` wrote; the mean of several.
        split: default `test`, or `val` where the dataset has no test rows.
        data_uri: the current version of this dataset; default the version that the first run was trained on.
        level: the deepest head that is used and reported; default the run's deepest.
        options: what else.
        run: by default this process predicts.
        on_rows: called with (rows done, rows in all).

    Returns:
        split, rows, level, models, what `Tally.scores` has, overlap (rows that were trained on), and more.

    Raises:
        InputError: no such split, the dataset does not fit the model, models differ, or shards are gone.
        ConfigError: a level, threshold or mean that there is not.
    """
    named = [models] if isinstance(models, str) else list(models)
    places = with_folds(named)
    refuse_repeated(places, options.dilation)
    device = pick_device()
    networks = load_networks(places, level, options.dilation, device)
    split = check_fitting(networks, places, split, options) if options.fit_thresholds else split
    data, manifest, split = _open_dataset(networks, data_uri, split)
    options = _of_folds(named, split if data_uri is None else "", options) if places != named else options
    work = EvaluateWork(tuple(places), level, options, data.uri, manifest, split)
    scorer = PartScorer(work, networks, device)
    (tally, how), disturb = _score(scorer, work, run, on_rows), scorer.disturb
    summary: dict[str, Any] = {
        "split": split,
        "rows": tally.rows,
        "models": places,
        **_said(scorer.stages[-1], tally),
        **how,
        "overlap": _overlap(networks, data, manifest, split),
        "disturbance": disturb and {**disturb.facts, "suffix": disturb.suffix},
        "dataset": {"uri": data.uri, "version": manifest.version, "fingerprint": manifest.fingerprint},
        "latency": None if len(places) > 1 or how["device"] != device.type else _latency(networks[0], device),
    }
    if options.fit_thresholds:
        summary["fitted_thresholds"] = keep_fitted(networks[0], places[0], split, tally.search)
    scored = (split, "" if disturb is None else disturb.suffix)
    _write(*evaluation_place(places, scorer.stages[-1].network, scored, options), summary, tally)
    return summary


def _write(target: Storage, name: str, summary: dict[str, Any], tally: Tally) -> None:
    examples = {"best": tally.examples.best(), "worst": tally.examples.worst()}
    write_evaluation(target, name, summary, tally.per_image.lines, examples, tally.per_image.parquet())


def _of_folds(named: Sequence[str], own_split: str, options: EvaluateOptions) -> EvaluateOptions:
    """With the folder of one cross-validation as the place of its evaluations.

    Raises:
        InputError: the split of the dataset that the folds were dealt from was trained on by most of them.
    """
    if own_split in FOLDED:
        raise InputError(
            f"the folds at {named[0]} were trained on the {' and '.join(FOLDED)} rows, and no row of them is "
            "new to all; out_of_fold.json there has their scores, each row by the fold that did not see it; "
            "name a dataset that is new with data.uri=URI, or --split test where this one has it"
        )
    return replace(options, out=named[0]) if options.out is None and len(named) == 1 else options


def _score(
    scorer: PartScorer, work: EvaluateWork, run: Runner | None, on_rows: Callable[[int, int], None]
) -> tuple[Tally, dict[str, Any]]:
    """The parts merged in the split's order; and device (type of the one used), seconds, images_per_s."""
    parts, rows = cut_parts(work.manifest, work.split), work.manifest.splits[work.split].rows
    scored = run(work, parts) if run else scorer(parts)
    whole, device, started_s = scorer.tally(), "", time.perf_counter()
    for part in in_order(scored):
        whole.merge(part.tally)
        device = part.device
        on_rows(whole.rows, rows)
    seconds = time.perf_counter() - started_s
    return whole, {"device": device, "seconds": seconds, "images_per_s": whole.rows / seconds}


def _said(stage: Stage, tally: Tally) -> dict[str, Any]:
    """What was scored, and its scores."""
    network, decision = stage.network, stage.decision
    return {
        "level": tally.level,
        **network.chosen,
        **tally.scores(),
        "thresholds": list(decision.thresholds),
        "min_object_px": decision.min_object_px,
        "confusion": tally.confusion(),
        "step": network.step,
        "window_px": network.window_px[-1],
    }


def _open_dataset(
    networks: Sequence[Network], data_uri: str | None, split: str | None
) -> tuple[Storage, Manifest, str]:
    """The dataset's place, its version and the split to score."""
    trained = next((network for network in networks if network.data_uri), None)
    if data_uri is None and trained is None:
        raise InputError("an exported file does not hold its dataset; name one to score with data.uri=URI")
    if data_uri is not None:
        data = open_storage(data_uri)
        manifest = load_manifest(data)
    else:
        assert trained is not None
        data, manifest = open_storage(trained.data_uri), trained.manifest
    check_dataset(manifest, networks[0])
    split = choose_split(manifest, split)
    if data_uri is None:
        require_shards(data, manifest, [split], fix="name the dataset to score with data.uri=URI")
    return data, manifest, split


def _overlap(networks: Sequence[Network], data: Storage, manifest: Manifest, split: str) -> int | None:
    """Rows that a network was trained on; of several networks the largest number."""
    found: list[int | None] = []
    # Members often share their data: what it holds is read once.
    seen = {
        (each.data_uri, each.manifest.fingerprint, each.manifest.splits.get("train")): each
        for each in networks
    }
    for network in seen.values():
        if network.data_uri:
            trained = (open_storage(network.data_uri), network.manifest)
            found.append(count_overlap(data, manifest, split, trained=trained))
        elif network.manifest.fingerprint == manifest.fingerprint:
            found.append(manifest.splits[split].rows if split == "train" else 0)
        else:
            found.append(None)
    known = [rows for rows in found if rows is not None]
    return max(known) if len(known) == len(found) else None


def check_dataset(manifest: Manifest, network: Network) -> None:
    """Refuse a dataset that the model cannot be scored on.

    Raises:
        InputError: task, classes, channels, dtype or image labels differ from the training's.
    """
    trained = network.manifest
    compared: list[tuple[str, object, object]] = [
        ("dimensions", manifest.spatial_dims, trained.spatial_dims),
        ("task", manifest.task, trained.task),
        ("classes", [c.name for c in manifest.classes], [c.name for c in trained.classes]),
        ("instances", manifest.instances, trained.instances),
        ("channels", manifest.channels, trained.channels),
        ("dtype", manifest.dtype, trained.dtype),
    ]
    # Without labels, or without that head, only masks are scored.
    if manifest.image_labels and network.image_classes:
        compared.append(("image labels", list(manifest.image_labels), list(trained.image_labels)))
    for what, found, needed in compared:
        if found != needed:
            raise InputError(
                f"the dataset has {what} {found}, the run was trained on {needed}; pack alike, with a "
                "--classes file where masks alone do not show every class"
            )


def _latency(network: Network, device: torch.device) -> dict[str, Any] | None:
    """Of a run alone: an engine's levels are not there to be timed."""
    if not isinstance(network.model, UNetPlusPlus):
        return None
    size_px, channels = network.patch_px, network.manifest.channels
    seconds = measure_levels_s(network.model, channels=channels, size_px=size_px, device=device)
    shown = size_px[0] if len(size_px) == 2 else list(size_px)
    return {"size_px": shown, "levels_s": {str(level): value for level, value in seconds.items()}}
