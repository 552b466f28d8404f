"""What some masks of the train split tell a plan: whether classes have an up, and how thin objects are."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.config.planning.timed.facts import NO_FACTS, MaskFacts, PlanFacts, installed_encoders
from unetpp.config.sections.train import TrainConfig
from unetpp.core.manifest import MAX_LABELS, Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_masks import open_shard

__all__ = ["facts_of", "measure_masks", "plan_facts"]

T = TypeVar("T")

_SHARDS = 8
_MASKS = 48
"""Of 48 masks an asymmetry by chance stays below 0.1 in the sets that were tried."""
_BANDS = 8
"""Parts of an image along each axis, whose classes are compared with those of the mirrored part."""
_RARE = 1e-4
"""Share of pixels below which a class says nothing of its shape."""


def plan_facts(train: TrainConfig, storage: Storage, manifest: Manifest) -> PlanFacts:
    """Whatever the plan of such a training looks at; nothing is read where it goes by epochs.

    Raises:
        StorageError: the storage refuses.
    """
    if not train.minutes:
        return NO_FACTS
    return PlanFacts(measure_masks(storage, manifest), installed_encoders())


def measure_masks(storage: Storage, manifest: Manifest) -> MaskFacts | None:
    """Look at evenly spaced masks of pictures; None for volumes, and where a shard cannot be read.

    Only the masks travel. Damage is found and named by whoever reads the shard for training.

    Raises:
        StorageError: the storage refuses.
    """
    if manifest.spatial_dims != 2:
        return None
    try:
        return facts_of(list(_masks(storage, manifest)), manifest)
    except (FileNotFoundError, pa.ArrowException):
        return None


def facts_of(masks: list[NDArray[np.uint8]], manifest: Manifest) -> MaskFacts:
    """The same of masks as they are stored, (H, W) each."""
    labels = [_labels(manifest.task, mask, manifest.num_classes) for mask in masks]
    if not labels:
        return MaskFacts(0, 0.0, 0.0, 0.0)
    foreground = 1 if manifest.task == "multiclass" else 0
    return MaskFacts(
        masks=len(masks),
        vertical_asymmetry=_asymmetry(labels, axis=1),
        horizontal_asymmetry=_asymmetry(labels, axis=2),
        thickness_px=_thickness(labels, foreground),
    )


def _labels(task: str, mask: NDArray[np.uint8], classes: int) -> NDArray[np.bool_]:
    """(C, H, W): where each class is."""
    if task == "multilabel":
        counted = mask >> MAX_LABELS == 0
        return np.stack([(mask >> bit & 1 == 1) & counted for bit in range(classes)])
    values = range(classes) if task == "multiclass" else (1,)
    return np.stack([mask == value for value in values])


def _asymmetry(labels: list[NDArray[np.bool_]], axis: int) -> float:
    """Half the difference of each class's pixels by band from those of the mirrored band, over all pixels."""
    bands = sum(_by_band(each, axis) for each in labels)
    total = float(np.sum(bands))
    return float(np.abs(bands - np.flip(bands, 1)).sum()) / 2 / total if total else 0.0


def _by_band(labels: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """(C, bands): share of the image's pixels."""
    profile = labels.sum(axis=3 - axis).astype(np.float64)  # (C, side)
    cumulative = np.concatenate([np.zeros((len(profile), 1)), profile.cumsum(1)], axis=1)
    ends = np.linspace(0, profile.shape[1], _BANDS + 1)
    at = np.stack([np.interp(ends, np.arange(cumulative.shape[1]), row) for row in cumulative])
    shares: NDArray[np.float64] = np.diff(at, axis=1) / labels[0].size
    return shares


def _thickness(labels: list[NDArray[np.bool_]], first: int) -> float:
    """2 * area / length of the border, which a strip has along both sides; of classes the mean by area."""
    area = sum(each[first:].sum(axis=(1, 2)).astype(np.float64) for each in labels)
    border = sum(_border(each[first:]) for each in labels)
    pixels = sum(each[0].size for each in labels)
    shown = np.asarray(area) > _RARE * pixels
    if not shown.any():
        return 0.0
    areas, borders = np.asarray(area)[shown], np.asarray(border)[shown]
    return float(np.average(2 * areas / np.maximum(borders, 1), weights=areas))


def _border(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sides of pixels between a class and others, by class."""
    rows = (labels[:, 1:] != labels[:, :-1]).sum(axis=(1, 2))
    columns = (labels[:, :, 1:] != labels[:, :, :-1]).sum(axis=(1, 2))
    total: NDArray[np.float64] = (rows + columns).astype(np.float64)
    return total


def _masks(storage: Storage, manifest: Manifest) -> Iterator[NDArray[np.uint8]]:
    """Evenly spaced ones of the first row group of evenly spaced shards."""
    shards = _spread(manifest.splits["train"].shards, _SHARDS)
    for shard in shards:
        with open_shard(storage, shard) as file:
            groups = list(_spread(range(file.num_row_groups), -(-_MASKS // len(shards))))
            for group in groups:
                table = file.read_row_group(group, columns=["mask", "height", "width"])
                for row in _spread(range(len(table)), -(-_MASKS // (len(shards) * len(groups)))):
                    size = int(table["height"][row].as_py()), int(table["width"][row].as_py())
                    yield np.frombuffer(table["mask"][row].as_buffer(), np.uint8).reshape(size)


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most so many of them, evenly spaced."""
    taken = min(count, len(items))
    return [items[index * len(items) // taken] for index in range(taken)]
