"""The folder `review` beside the masks: the least certain images, and a page of them."""

from collections.abc import Sequence
from dataclasses import replace

from unetpp.core.storage import Storage
from unetpp.data.sources.files import read_file
from unetpp.inference.device import pick_device
from unetpp.inference.engines.registry import is_export
from unetpp.inference.ensemble.load import load_member
from unetpp.inference.inputs import InputImage
from unetpp.inference.many.options import PredictOptions
from unetpp.inference.masks.decide import Decision
from unetpp.inference.review.page import review_page
from unetpp.inference.review.rank import least_certain

__all__ = ["REVIEW_PAGE", "write_review"]

_FOLDER = "review"
REVIEW_PAGE = f"{_FOLDER}/index.html"
"""Below the folder of the masks."""


def write_review(
    model: str,
    images: Sequence[InputImage],
    target: Storage,
    options: PredictOptions,
    decision: Decision,
) -> None:
    """Write `review/images/` and then the page, whose masks are decided on as those that were written."""
    device = pick_device()
    every_level = not is_export(model)
    network = load_member(model, options.level, options.dilation, device, every_level=every_level)
    network = replace(network, decision=decision)
    entries = least_certain(network, device, images, options.review or 0)
    for entry in entries:
        if entry.image.packed is not None:
            target.write(f"{_FOLDER}/images/{entry.image.name}", entry.picture)
            continue
        for file in entry.image.files:
            if not file.members:
                target.write(f"{_FOLDER}/images/{file.path}", read_file(file))
    target.write(REVIEW_PAGE, review_page(entries, len(images)).encode())
