"""One line of scores for each image, and what a whole split's lines say together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from unetpp.objective.certainty import CERTAINTIES, ranking
from unetpp.objective.metrics import dice_iou
from unetpp.objective.statistics.bootstrap import Interval, bootstrap_intervals, sums_by_unit

__all__ = ["COUNTS", "PerImage"]

COUNTS = ("tp", "fp", "fn", "tn")
"""Of pixels by class, in the order of `count_pixels`."""

_LISTED = 10


class PerImage:
    """Scores of the images of a split, in its order.

    Args:
        classes: their names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        """sample_id, dice, iou, levels, certainty, and what else was measured."""
        self._classes = tuple(classes)
        self._counts: list[NDArray[np.int64]] = []
        self._groups: list[str] = []

    def add(self, line: dict[str, Any], group: str, counts: NDArray[np.int64]) -> None:
        """Add an image that has a valid pixel.

        Args:
            line: see `lines`.
            group: of images that belong together.
            counts: (C, 4), see `count_pixels`.
        """
        self.lines.append(line)
        self._groups.append(group)
        self._counts.append(counts)

    def merge(self, other: "PerImage") -> None:
        """Add the images of another, which come after these."""
        self.lines += other.lines
        self._groups += other._groups
        self._counts += other._counts

    def certainty(self) -> dict[str, dict[str, float]]:
        """How well each measure of certainty ranks the images by Dice, of those that rank them at all."""
        dice = np.array([line["dice"] for line in self.lines])
        found = {name: ranking(self._certain(name), dice) for name in CERTAINTIES}
        return {name: scores for name, scores in found.items() if scores is not None}

    def worst(self) -> list[dict[str, Any]]:
        """sample_id and dice of the images of lowest Dice, the lowest first."""
        ordered = sorted(self.lines, key=lambda line: float(line["dice"]))
        return [{"sample_id": line["sample_id"], "dice": line["dice"]} for line in ordered[:_LISTED]]

    def most_uncertain(self) -> dict[str, Any] | None:
        """by (a measure of certainty) and images [{sample_id, certainty, dice}], the least certain first."""
        for name in CERTAINTIES:
            certain = self._certain(name)
            if len(certain) and not np.isnan(certain).any():
                first = np.argsort(certain, kind="stable")[:_LISTED]
                images = [
                    {
                        "sample_id": self.lines[n]["sample_id"],
                        "certainty": float(certain[n]),
                        "dice": self.lines[n]["dice"],
                    }
                    for n in first
                ]
                return {"by": name, "images": images}
        return None

    def intervals(self) -> dict[str, Any]:
        """over (images or groups), units (their number), and 95 % intervals of dice, iou, dice_per_image,
        iou_per_image, and by class under classes [{name, dice, iou}]; None where there is none.
        """
        if not self.lines:
            return {}
        scores = np.array([(line["dice"], line["iou"], 1.0) for line in self.lines])
        counts = np.stack(self._counts).reshape(len(scores), -1)
        sums = sums_by_unit(np.concatenate([counts, scores], axis=1), self._groups)
        found = bootstrap_intervals(sums, self._scores)
        by_class: list[Interval | None] = found[4:]
        return {
            "over": "images" if len(sums) == len(scores) else "groups",
            "units": len(sums),
            **dict(zip(("dice", "iou", "dice_per_image", "iou_per_image"), found, strict=False)),
            "classes": [
                {"name": name, "dice": by_class[2 * k], "iou": by_class[2 * k + 1]}
                for k, name in enumerate(self._classes)
            ],
        }

    def table(self) -> pa.Table:
        """The lines and their groups and counts, flat: `dice`, `level1_dice`, `certainty_levels`, `tp_CLASS`,
        `dice_CLASS` ...; null where an image has no such score.
        """
        names = [f"{kind}_{name}" for name in self._classes for kind in COUNTS]
        rows = []
        for line, group, counts in zip(self.lines, self._groups, self._counts, strict=True):
            counted = dict(zip(names, counts.ravel().tolist(), strict=True))
            of_classes = dice_iou(torch.from_numpy(counts)).tolist()
            occurring: list[bool] = (counts[:, :3].sum(axis=1) > 0).tolist()
            scored = {
                f"{score}_{name}": value if occurs else None
                for name, values, occurs in zip(self._classes, of_classes, occurring, strict=True)
                for score, value in zip(("dice", "iou"), values, strict=True)
            }
            rows.append({"sample_id": line["sample_id"], "group": group, **_flat(line), **scored, **counted})
        keys = dict.fromkeys(key for row in rows for key in row)
        return pa.table({key: [row.get(key) for row in rows] for key in keys})

    def parquet(self) -> bytes:
        """`table` as a file."""
        sink = pa.BufferOutputStream()
        pq.write_table(self.table(), sink, compression="zstd")
        return bytes(sink.getvalue())

    def _certain(self, name: str) -> NDArray[np.float64]:
        return np.array([line["certainty"].get(name, np.nan) for line in self.lines])

    def _scores(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B, K) sums to (B, 4 + 2 C): pooled means over the classes that occur, per image, each class."""
        counts = torch.from_numpy(sums[:, :-3]).view(len(sums), len(self._classes), 4)
        by_class = dice_iou(counts).numpy()
        occurs = (counts[..., :3].sum(-1) > 0).numpy()[..., None]
        number = occurs.sum(axis=1)
        macro = np.where(number > 0, (by_class * occurs).sum(axis=1) / np.maximum(number, 1), 1.0)
        each = np.where(occurs, by_class, np.nan).reshape(len(sums), -1)
        return np.concatenate([macro, sums[:, -3:-1] / sums[:, -1:], each], axis=1)


def _flat(line: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in line.items():
        if key == "levels":
            found |= {
                f"level{level}_{name}": v for level, scores in value.items() for name, v in scores.items()
            }
        elif isinstance(value, dict):
            found |= {f"{key}_{name}": each for name, each in value.items()}
        else:
            found[key] = value
    return found
