"""Making a plan smaller until it fits into a worker's memory."""

from collections.abc import Iterator
from typing import Any

from unetpp.config.load import replace
from unetpp.config.planning.feasibility import check
from unetpp.config.run import RunConfig

__all__ = ["shrunk"]

_LEAST_CROP_PX = 64
_LEAST_WIDTH = 4


def shrunk(
    config: RunConfig, open_fields: frozenset[str], memory_bytes: int | None
) -> tuple[dict[str, Any], str]:
    """Changes of open fields with which a decided configuration fits, and what it needs; none where it does.

    The batch goes first, then the crop, then the width: the network is what is wanted. What cannot be made
    smaller any further stays, for whoever checks it to refuse.
    """
    changes: dict[str, Any] = {}
    reason = ""
    while (shortage := check(config, memory_bytes)) is not None:
        smaller = next((each for each in _smaller(config) if each[0] in open_fields), None)
        if smaller is None:
            break
        field, value = smaller
        config, reason = replace(config, {field: value}), shortage.reason
        changes[field] = value
    return changes, reason


def _smaller(config: RunConfig) -> Iterator[tuple[str, Any]]:
    unit = config.max_workers * config.train.accumulate
    batch, crop = int(config.data.batch_size), int(config.data.crop)
    if batch > unit:
        yield "data.batch_size", max(batch // 2 // unit, 1) * unit
    multiple = config.model.stem_stride * 2 ** int(config.model.depth)
    halved = max(crop // 2 // multiple, 2) * multiple
    if _LEAST_CROP_PX <= halved < crop:
        yield "data.crop", halved
    if config.model.widths is None and config.model.width > _LEAST_WIDTH:
        yield "model.width", max(config.model.width // 2, _LEAST_WIDTH)
