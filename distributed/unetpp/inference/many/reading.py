"""Images decoded in threads before they are needed."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from unetpp.core.manifest import Manifest
from unetpp.data.images.header import Header
from unetpp.data.images.pixels import Pixels, Reading, complete
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.raster import Raster, Space
from unetpp.inference.inputs import InputImage
from unetpp.inference.many.packed import read_packed
from unetpp.inference.strips import is_large
from unetpp.inference.volumes import check_any, prepared

__all__ = ["Opened", "as_trained", "open_ahead", "open_as_trained"]

_THREADS = 8
_LEAST_AHEAD, _MOST_AHEAD = 4, 64
"""Images that are decoded while earlier ones are predicted."""
_HELD_PIXELS = 2**24
"""Of these, together; a large image counts no more than `_LEAST_AHEAD` times."""


@dataclass(frozen=True)
class Opened:
    """A decoded image."""

    header: Header
    space: Space
    pixels: Pixels | None
    """None of a raster so large that it is read when it is predicted."""


def open_ahead(
    images: Iterable[InputImage], manifest: Manifest
) -> Iterator[tuple[InputImage, Future[Opened]]]:
    """Each image with what it holds, in order; what is held does not grow with their number."""
    # A volume has the bytes of some hundred pictures.
    are_volumes = manifest.slices is not None or manifest.spatial_dims == 3
    reading = Reading.of(manifest.reading)
    ahead = 1 if are_volumes else _LEAST_AHEAD
    with ThreadPoolExecutor(1 if are_volumes else _THREADS) as pool:
        waiting: deque[tuple[InputImage, Future[Opened]]] = deque()
        for image in images:
            waiting.append((image, pool.submit(_open, image, reading)))
            while len(waiting) > ahead:
                first = waiting.popleft()
                if not are_volumes:
                    ahead = _ahead_of(first[1])
                yield first
        yield from waiting


def open_as_trained(image: InputImage, reading: Reading) -> AbstractContextManager[Raster]:
    """The image's files, understood as those of the training data were."""
    return open_channels([replace(file, reading=reading) for file in image.files])


def as_trained(image: InputImage, opened: Opened, manifest: Manifest) -> NDArray[Any]:
    """An opened image's pixels as the network takes them; packing has prepared the rows of datasets.

    Raises:
        InputError: the model was not trained on such an image.
    """
    assert opened.pixels is not None
    values = opened.pixels.values
    if image.packed is None:
        values = prepared(values, opened.header, opened.space, manifest)
    return check_any(values, manifest)


def _open(image: InputImage, reading: Reading) -> Opened:
    if image.packed is not None:
        return Opened(*read_packed(image, image.packed))
    with open_as_trained(image, reading) as raster:
        pixels = None if is_large(raster) else complete(raster.read(), reading)
        return Opened(raster.header, raster.space, pixels)


def _ahead_of(opened: Future[Opened]) -> int:
    """Images ahead, if they have the size of this one."""
    if opened.exception() is not None:
        return _LEAST_AHEAD
    header = opened.result().header
    return min(_MOST_AHEAD, max(_LEAST_AHEAD, _HELD_PIXELS // (header.height * header.width)))
