"""What the scripts of one accuracy table share: command line, scores and columns."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from unetpp.core.manifest import Manifest
from unetpp.objective.metrics import SegmentationMetrics

__all__ = ["HEADER", "row_of", "scores_of", "set_parser"]

HEADER = ("set", "seed", "split", "mean IoU", "pooled Dice", "Dice per image", "images seen", "CPU s")


def set_parser(
    description: str | None, sets: str = "NAME=URI of a packed dataset"
) -> argparse.ArgumentParser:
    """Takes the sets and the minutes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", help=sets)
    parser.add_argument("--minutes", type=float, default=10.0, help="of one thread's CPU")
    return parser


def scores_of(manifest: Manifest, predicted: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Our scores of another network, of one image's logits (1, C, H, W) and mask (1, H, W) after another."""
    metrics = SegmentationMetrics(manifest.num_classes, [1], manifest.task)
    for logits, mask in predicted:
        metrics.update(((logits,), None), mask)
    return metrics.compute([info.name for info in manifest.classes])


def row_of(split: str, scores: Mapping[str, Any], seen: int, spent_s: float) -> tuple[Any, ...]:
    """The columns after set and seed."""
    return split, *(round(scores[key], 4) for key in ("iou", "dice", "dice_per_image")), seen, round(spent_s)
