"""Score a run on any split, sample by sample, at every level.

Memory does not grow with the split beyond one line of scores a sample.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import load_manifest, require_shards
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.sample import Sample
from unetpp.inference.device import pick_device
from unetpp.inference.evaluation.disturb import Disturb, disturber
from unetpp.inference.evaluation.files import evaluation_name, write_evaluation
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.evaluation.overlap import count_overlap
from unetpp.inference.evaluation.scorer import Scorer
from unetpp.models.latency import measure_levels_s
from unetpp.models.load import LoadedRun, load_run

__all__ = ["check_dataset", "choose_split", "evaluate"]

_BATCH_PIXELS = 512 * 512
"""Pixels that are predicted at once; samples of one size are joined up to this."""
_PLAIN = EvaluateOptions()


def evaluate(
    run_uri: str,
    *,
    split: str | None = None,
    data_uri: str | None = None,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    options: EvaluateOptions = _PLAIN,
    on_rows: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Score the best checkpoint of a run and write `evaluations/<split>` into it.

    Samples keep their stored size; those larger than the window are predicted window by window.

    Args:
        split: default `test`, or `val` where the dataset has no test rows.
        data_uri: the current version of this dataset; default the version that the run was trained on.
        level: the deepest head that is used and reported; default the run's deepest.
        dilation: of a run whose weights several vectors of dilations share, see `load_run`.
        options: what is measured beside Dice, and what is done to the images before.
        on_rows: called with (rows done, rows in all).

    Returns:
        split, rows, level, dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy, classes,
        levels, certainty, confusion, overlap (rows that were trained on), disturbance, dataset, its duration.

    Raises:
        InputError: no such split, the dataset does not fit the run, or shards of its version are gone.
    """
    run_dir = RunDir(run_uri).require()
    run = load_run(run_uri, level=level, dilation=dilation)
    data, manifest, split = _open_dataset(run, data_uri, split)
    trained = open_storage(run.config.data.uri)
    scorer = Scorer(run, manifest, pick_device(), hd95=options.hd95)
    disturb = disturber(options.disturbance, run, manifest, scorer.device)
    samples = iter_samples(data, manifest, split)
    seconds = _score_all(scorer, samples, disturb, on_rows, manifest.splits[split].rows)
    summary: dict[str, Any] = {
        "split": split,
        "rows": scorer.rows,
        "level": scorer.level,
        **run.chosen,
        **scorer.scores(),
        "confusion": scorer.confusion(),
        "overlap": count_overlap(data, manifest, split, trained=(trained, run.manifest)),
        "disturbance": None if disturb is None else {**disturb.facts, "suffix": disturb.suffix},
        "dataset": {"uri": data.uri, "version": manifest.version, "fingerprint": manifest.fingerprint},
        "step": run.step,
        "window_px": scorer.window_px[-1],
        "device": scorer.device.type,
        "seconds": seconds,
        "images_per_s": scorer.rows / seconds,
        "latency": _latency(run, scorer),
    }
    examples = {"best": scorer.examples.best(), "worst": scorer.examples.worst()}
    is_deepest = scorer.level == run.config.model.depth
    name = evaluation_name(split, None if is_deepest else scorer.level, dilation)
    name += "" if disturb is None else f"-{disturb.suffix}"
    write_evaluation(run_dir.storage, name, summary, scorer.per_image, examples)
    return summary


def _score_all(
    scorer: Scorer,
    samples: Iterable[Sample],
    disturb: Disturb | None,
    on_rows: Callable[[int, int], None],
    rows: int,
) -> float:
    """Score all samples; the seconds it took."""
    start = time.perf_counter()
    for batch in _same_size_batches(samples):
        scorer.add(batch if disturb is None else disturb(batch))
        on_rows(scorer.rows, rows)
    return time.perf_counter() - start


def _open_dataset(run: LoadedRun, data_uri: str | None, split: str | None) -> tuple[Storage, Manifest, str]:
    """The dataset's place, its version and the split to score."""
    data = open_storage(run.config.data.uri if data_uri is None else data_uri)
    manifest = run.manifest if data_uri is None else load_manifest(data)
    check_dataset(manifest, run)
    split = choose_split(manifest, split)
    if data_uri is None:
        require_shards(data, manifest, [split], fix="name the dataset to score with data.uri=URI")
    return data, manifest, split


def choose_split(manifest: Manifest, split: str | None) -> str:
    """The split to evaluate: as asked, else `test`, else `val`.

    Raises:
        InputError: the split is not in the dataset or has no rows.
    """
    filled = [name for name, info in manifest.splits.items() if info.rows]
    if split is None:
        held_out = [name for name in ("test", "val") if name in filled]
        if not held_out:
            raise InputError(f"the dataset has no test or val rows; name a split of {filled} with --split")
        return held_out[0]
    if split not in filled:
        raise InputError(f"split={split!r} has no rows in this dataset; use one of {filled}")
    return split


def check_dataset(manifest: Manifest, run: LoadedRun) -> None:
    """Refuse a dataset that the model cannot be scored on.

    Raises:
        InputError: task, classes, channels, dtype or image labels differ from the training's.
    """
    trained = run.manifest
    compared: list[tuple[str, object, object]] = [
        ("dimensions", manifest.spatial_dims, trained.spatial_dims),
        ("task", manifest.task, trained.task),
        ("classes", [c.name for c in manifest.classes], [c.name for c in trained.classes]),
        ("instances", manifest.instances, trained.instances),
        ("channels", manifest.channels, trained.channels),
        ("dtype", manifest.dtype, trained.dtype),
    ]
    # Without labels, or without that head, only masks are scored.
    if manifest.image_labels and run.config.model.image_classes:
        compared.append(("image labels", list(manifest.image_labels), list(trained.image_labels)))
    for what, found, needed in compared:
        if found != needed:
            raise InputError(
                f"the dataset has {what} {found}, the run was trained on {needed}; pack alike, with a "
                "--classes file where masks alone do not show every class"
            )


def _latency(run: LoadedRun, scorer: Scorer) -> dict[str, Any]:
    size_px = run.config.patch_px
    seconds = measure_levels_s(
        run.model, channels=run.manifest.channels, size_px=size_px, device=scorer.device
    )
    shown = size_px[0] if len(size_px) == 2 else list(size_px)
    return {"size_px": shown, "levels_s": {str(level): value for level, value in seconds.items()}}


def _same_size_batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Join neighbours of one size, up to `_BATCH_PIXELS`."""
    batch: list[Sample] = []
    for sample in samples:
        pixels = sample.mask.size
        if batch and (sample.mask.shape != batch[0].mask.shape or (len(batch) + 1) * pixels > _BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch
