"""A model card: what an exported file was trained on, how good it is, what it is not for, what it cost.

In the form of Mitchell et al. 2019, "Model Cards for Model Reporting", cut to what a run knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.engine import Description
from unetpp.inference.engines.real_images import CALIBRATING
from unetpp.inference.evaluation.files import read_evaluations

__all__ = ["model_card"]

_SCORES = {"dice": "Dice", "iou": "IoU", "precision": "precision", "recall": "recall"}
_HOUR_S = 3600.0


def model_card(run: RunDir, description: Description, result: Mapping[str, Any], file: str) -> str:
    """Markdown.

    Args:
        run: that the file was exported from.
        description: what the file says of itself.
        result: of `export_run` or `export_best`.
        file: its name.
    """
    config = run.read_config()
    parts = [
        f"# {file}",
        _lines(_what(description)),
        "## Data",
        _lines(_data(run, str(config["data"]["uri"]), description.manifest)),
        "## Classes",
        _table(("value", "class"), _classes(description)),
        "## How good it is",
        *_quality(run, description),
        "## How it was exported",
        _lines(_export(result)),
        *([_candidates(result["table"])] if "table" in result else []),
        "## Limits",
        _lines(_limits(description)),
        "## What its training cost",
        _lines(_cost(run, config["scale"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(description: Description) -> Iterator[str]:
    yield f"Nested U-Net (UNet++) for {description.task} segmentation, level {description.level}"
    yield f"precision: {description.precision}, computed in: {description.compute}"
    yield f"licence of the weights: {description.licence or 'none was given; ask before you pass them on'}"
    yield f"written by unetpp {description.version}; optimiser steps: {description.step}"


def _data(run: RunDir, uri: str, manifest: Manifest) -> Iterator[str]:
    splits = {name: info.rows for name, info in run.read_dataset().splits.items()}
    yield f"dataset: {uri}, version {manifest.version}"
    yield f"fingerprint: `{manifest.fingerprint}`"
    yield "images: " + ", ".join(f"{name} {rows}" for name, rows in splits.items())
    largest = sorted(manifest.sizes.items(), key=lambda item: -item[1])
    more = f" and {len(largest) - 3} more sizes" if len(largest) > 3 else ""
    yield "sizes: " + ", ".join(f"{size} px ({count})" for size, count in largest[:3]) + more
    yield f"packed by: `{manifest.command}`"


def _classes(description: Description) -> Iterator[tuple[str, str]]:
    for index, entry in enumerate(description.classes):
        value = {"binary": "1", "multilabel": f"bit {index}"}.get(description.task, str(index))
        yield value, str(entry["name"])


def _quality(run: RunDir, description: Description) -> Iterator[str]:
    rows = [("val, of the checkpoint", description.metrics)] if description.metrics else []
    for name, summary in read_evaluations(run.storage).items():
        levels = summary.get("levels", {})
        if (own := levels.get(str(description.level))) is not None:
            rows.append((f"{name}, {summary['rows']} images", own))
    if not rows:
        yield "No scores are known; run `unetpp evaluate`."
        return
    shown = [(name, *(_number(scores.get(key)) for key in _SCORES)) for name, scores in rows]
    yield _table(("split", *_SCORES.values()), shown)
    yield "Pooled over pixels, of the run's network rather than this file, and without intervals."


def _export(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"bytes: {result['bytes']}"
    yield f"largest difference of a logit from the run's network in float32: {result['max_abs_diff']:.3g}"
    yield f"part of the pixels of the checked images whose class is another: {result['differing']:.3g}"
    if "chosen" in result:
        row = result["chosen"]
        yield (
            f"chosen for {result['target']} within {result['max_drop']:g} of the Dice: {row['engine']} "
            f"{row['precision']}, {result['speed_up']:.1f} times the images per second of the full "
            f"network in float32 in PyTorch; Dice {row['dice']:.4f} on validation images, a drop of "
            f"{row['drop']:+.4f}"
        )


def _candidates(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ("level", "engine", "precision", "Dice", "IoU", "images/s", "MB")
    return _table(
        heads,
        [
            (
                row["level"],
                row["engine"],
                row["precision"],
                f"{row['dice']:.4f}",
                f"{row['iou']:.4f}",
                f"{row['images_per_s']:.2f}",
                f"{row['bytes'] / 1e6:.2f}",
            )
            for row in rows
        ],
    )


def _limits(description: Description) -> Iterator[str]:
    manifest = description.manifest
    yield f"images of {manifest.channels} channel(s) of {manifest.dtype}, as in training; others are refused"
    yield "what differs from the training data, as another microscope, camera or season, was not measured"
    yield "a mask is a proposal: no use in which an error harms somebody was examined"
    if manifest.resized_px is not None:
        yield f"whole images are seen as {manifest.resized_px} x {manifest.resized_px} pixels"
    else:
        sides = " x ".join(map(str, description.window_px))
        yield f"images larger than {sides} pixels are predicted in overlapping windows"
    if description.precision == "int8":
        yield (
            f"the ranges of int8 are those of {CALIBRATING} validation images; brighter or stranger ones are "
            "clipped"
        )


def _cost(run: RunDir, scale: Mapping[str, Any]) -> Iterator[str]:
    found, provenance = run.read_result() or {}, run.read_provenance()
    kind = "GPU" if scale["gpu"] is True else "CPU"
    each = scale[f"{kind.lower()}s_per_worker"]
    if "wall_seconds" in found and isinstance(each, int | float):
        hours = found["wall_seconds"] / _HOUR_S * scale["workers"] * each
        yield f"{hours:.2f} {kind}-hours: {found['wall_seconds']:.0f} s, {scale['workers']} worker(s)"
    else:
        yield "the run has not ended: its time is not known"
    yield f"machine: {provenance.get('platform', 'unknown')}"
    yield f"command: `{provenance.get('command', 'unknown')}`"


def _lines(entries: Iterator[str]) -> str:
    return "\n".join(f"- {entry}" for entry in entries)


def _table(heads: Sequence[str], rows: Any) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-"
