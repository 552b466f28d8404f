"""The folder `review` beside the masks: the least certain images, and a page of them."""

from collections.abc import Iterable, Sequence

from unetpp.core.storage import Storage
from unetpp.data.sources.files import read_file
from unetpp.inference.inputs import InputImage
from unetpp.inference.review.page import review_page
from unetpp.inference.review.rank import Doubted, LeastCertain

__all__ = ["REVIEW_PAGE", "write_review"]

_FOLDER = "review"
REVIEW_PAGE = f"{_FOLDER}/index.html"
"""Below the folder of the masks."""


def write_review(images: Sequence[InputImage], judged: Iterable[Doubted], target: Storage, keep: int) -> None:
    """Write `review/images/` and then the page.

    Args:
        images: all that were predicted.
        judged: how certain the network is of them, whose masks are those that were written.
        target: folder of the masks.
        keep: how many are shown.
    """
    named, least = {image.name: image for image in images}, LeastCertain(keep)
    for doubted in judged:
        least.offer(doubted)
    for entry in least.listed():
        image = named[entry.name]
        if image.packed is not None:
            assert entry.pictures is not None
            target.write(f"{_FOLDER}/images/{entry.name}", entry.pictures[0])
            continue
        for file in image.files:
            if not file.members:
                target.write(f"{_FOLDER}/images/{file.path}", read_file(file))
    target.write(REVIEW_PAGE, review_page(least.listed(), len(images)).encode())
