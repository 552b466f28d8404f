"""Predict many files: one mask PNG per image, errors reported and passed over."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError, StorageError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import open_image, stem_of
from unetpp.inference.inputs import ImageSet, find_images
from unetpp.inference.objects.find import Objects, find_objects
from unetpp.inference.outputs import overlay_name, refuse_existing, refuse_images
from unetpp.inference.overlay import overlay_png
from unetpp.inference.predictor import Predictor
from unetpp.inference.volumes import check_any, segment
from unetpp.inference.writers.registry import Segmented, Writers

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
    format: str | None = None
    """One of `writers.registry.FORMATS`; None for what the network was trained for."""
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
    set where label k is present); a palette shows them in the class colours.

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
    writers = Writers.choose(options.format, RunDir(run_uri).require().read_dataset())
    refuse_images(target, images, writers, overlay=options.overlay)
    if not options.overwrite:
        refuse_existing(target, images, writers, overlay=options.overlay)
    predictor = Predictor.from_run(run_uri, level=options.level)
    start = time.perf_counter()
    job = _Job(predictor, target, writers, overlay=options.overlay)
    failed = _predict_all(job, images, options, on_image)
    seconds = time.perf_counter() - start
    if len(failed) == len(images.paths):
        first = f"{failed[0]['file']}: {failed[0]['reason']}"
        raise InputError(f"none of {len(failed)} images could be predicted; {first}")
    writers.finish(job.records, target, predictor.run.manifest)
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


@dataclass
class _Job:
    """What predicts images and takes the answers."""

    predictor: Predictor
    target: Storage
    writers: Writers
    overlay: bool
    records: list[Any] = field(default_factory=list)


def _predict_all(
    job: _Job,
    images: ImageSet,
    options: PredictOptions,
    on_image: Callable[[int, int], None],
) -> list[dict[str, str]]:
    """Returns what failed."""
    failed: list[dict[str, str]] = []
    storage_failures = 0
    for done, (path, decoded) in enumerate(_decode_ahead(images), start=1):
        try:
            _predict_one(job, decoded.result(), path)
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
    pixels: NDArray[Any]


def _decode_ahead(images: ImageSet) -> Iterator[tuple[str, Future[_Opened]]]:
    """Read and decode in threads, in order, `_AHEAD` images before they are needed."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[str, Future[_Opened]]] = deque()
        for ref in images.refs:
            waiting.append((ref.path, pool.submit(_decode, ref)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def _decode(source: FileRef) -> _Opened:
    with open_image(source) as raster:
        return _Opened(source, raster.space, raster.read().values)


def _predict_one(job: _Job, image: _Opened, path: str) -> None:
    manifest = job.predictor.run.manifest
    pixels = check_any(image.pixels, manifest)
    writer = job.writers.of(path)
    segmented = Segmented(image.source, image.space, *_answer(job.predictor, pixels, writer), manifest)
    job.records.append(writer.write(segmented, job.target, stem_of(path)))
    if job.overlay:
        job.target.write(overlay_name(path), overlay_png(pixels, segmented.mask, manifest))


def _answer(
    predictor: Predictor, pixels: NDArray[Any], writer: ModuleType
) -> tuple[NDArray[np.uint8], Objects | None]:
    """The mask, and the objects of a picture where the writer needs them."""
    if pixels.ndim > 3 or not getattr(writer, "NEEDS_OBJECTS", False):
        return segment(predictor, pixels), None
    prediction = predictor.predict(pixels)
    return prediction.mask, find_objects(prediction.probabilities, predictor.run.manifest)
