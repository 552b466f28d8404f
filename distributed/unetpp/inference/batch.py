"""Predict many files: one mask PNG per image, errors reported and passed over."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import IGNORE
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.pixels import Pixels, Reading, complete
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import open_image
from unetpp.inference.inputs import ImageSet, find_images
from unetpp.inference.outputs import mask_name, overlay_name, refuse_existing, refuse_images
from unetpp.inference.overlay import overlay_png
from unetpp.inference.predictor import Predictor
from unetpp.inference.volumes import check_any, segment
from unetpp.inference.writers.registry import Segmented, write_mask

__all__ = ["PredictOptions", "predict_paths"]

_AHEAD = 4
"""Images read and decoded while earlier ones are predicted; also the number held in memory."""
_MAX_STORAGE_FAILURES = 3
"""In a row: the storage itself is at fault, and each further image may wait for its retry deadline."""


@dataclass(frozen=True)
class PredictOptions:
    """How a folder is predicted."""

    level: int | None = None
    """Head to use; None for the deepest."""
    overlay: bool = False
    """Also write `out/overlays/<stem>.png`."""
    overwrite: bool = False
    """Replace outputs that exist."""
    strict: bool = False
    """Stop at the first image that cannot be predicted."""


_DEFAULT = PredictOptions()


def predict_paths(
    run_uri: str,
    source: str,
    out: str,
    options: PredictOptions = _DEFAULT,
    *,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Segment every image that `source` names; writes `out/<same folder>/<same stem>.png`.

    A mask has the size of its image. Its pixel values are class indices (binary: 0 and 1; multilabel: bit k
    set where label k is present); a palette shows them in the class colours. Where the image holds no data
    the mask is 255.

    Args:
        on_image: called with (images done, images in all) after each one.

    Returns:
        images, predicted, failed [{file, reason}], out, level, seconds, images_per_s.

    Raises:
        InputError: no image at `source`, images and masks would get mixed up, none could be predicted, or
            one could not where that is to be strict.
        StorageError: several images in a row could not be read or their masks not written.
        ExistsError: an output exists and must not be replaced.
    """
    images = find_images(source)
    target = open_storage(out)
    refuse_images(target, images, overlay=options.overlay)
    if not options.overwrite:
        refuse_existing(target, images, overlay=options.overlay)
    predictor = Predictor.from_run(run_uri, level=options.level)
    start = time.perf_counter()
    failed = _predict_all(predictor, images, target, options, on_image)
    seconds = time.perf_counter() - start
    if len(failed) == len(images.paths):
        first = f"{failed[0]['file']}: {failed[0]['reason']}"
        raise InputError(f"none of {len(failed)} images could be predicted; {first}")
    predicted = len(images.paths) - len(failed)
    return {
        "images": len(images.paths),
        "predicted": predicted,
        "failed": failed,
        "out": target.uri,
        "level": predictor.level,
        "seconds": seconds,
        "images_per_s": predicted / seconds,
    }


def _predict_all(
    predictor: Predictor,
    images: ImageSet,
    target: Storage,
    options: PredictOptions,
    on_image: Callable[[int, int], None],
) -> list[dict[str, str]]:
    """Returns what failed."""
    failed: list[dict[str, str]] = []
    storage_failures = 0
    reading = Reading.of(predictor.run.manifest.reading)
    for done, (path, decoded) in enumerate(_decode_ahead(images, reading), start=1):
        try:
            _predict_one(predictor, decoded.result(), path, target, overlay=options.overlay)
            storage_failures = 0
        except (InputError, StorageError, UnreadFileError, MemoryError) as error:
            reason = _reason(error) or "it does not fit into memory; cut it into parts"
            if options.strict:
                raise InputError(f"{path}: {reason}; --strict stops at the first failure") from error
            failed.append({"file": path, "reason": reason})
            storage_failures = storage_failures + 1 if isinstance(error, StorageError) else 0
            if storage_failures == _MAX_STORAGE_FAILURES:
                raise StorageError(
                    f"stopped at image {done} of {len(images.paths)}, {path}: {reason}; the "
                    f"{storage_failures - 1} before failed, too; mend it, then use --overwrite"
                ) from error
        on_image(done, len(images.paths))
    return failed


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, UnreadFileError) else str(error)


@dataclass(frozen=True)
class _Opened:
    source: FileRef
    space: Space
    pixels: Pixels


def _decode_ahead(images: ImageSet, reading: Reading) -> Iterator[tuple[str, Future[_Opened]]]:
    """Read and decode in threads, in order, `_AHEAD` images before they are needed."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[str, Future[_Opened]]] = deque()
        for path in images.paths:
            source = FileRef(images.storage.uri, path, reading=reading)
            waiting.append((path, pool.submit(_decode, source)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def _decode(source: FileRef) -> _Opened:
    with open_image(source) as raster:
        return _Opened(source, raster.space, complete(raster.read(), source.reading))


def _predict_one(predictor: Predictor, image: _Opened, path: str, target: Storage, *, overlay: bool) -> None:
    manifest = predictor.run.manifest
    pixels = check_any(image.pixels.values, manifest)
    mask = segment(predictor, pixels)
    if image.pixels.valid is not None:
        mask[~image.pixels.valid] = IGNORE
    write_mask(Segmented(image.source, image.space, mask, manifest), target, mask_name(path))
    if overlay:
        target.write(overlay_name(path), overlay_png(pixels, mask, manifest))
