"""Predict many files: one mask PNG per image, errors reported and passed over."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.nodata import filled
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError
from unetpp.data.sources.raster import Space
from unetpp.inference.inputs import ImageSet, InputImage, find_images
from unetpp.inference.objects.find import find_objects
from unetpp.inference.outputs import (
    mask_name,
    output_names,
    overlay_name,
    probabilities_name,
    refuse_existing,
    refuse_images,
)
from unetpp.inference.overlay import overlay_png
from unetpp.inference.predictor import Predictor
from unetpp.inference.strips import is_large, segment_large
from unetpp.inference.volumes import check_any, fullest_slice, segment
from unetpp.inference.writers.quantised import quantised
from unetpp.inference.writers.registry import (
    Segmented,
    finish,
    needs_objects,
    trained_writer,
    write_mask,
    write_probabilities,
)

__all__ = ["PredictOptions", "predict_paths"]

logger = logging.getLogger(__name__)

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
    format: str | None = None
    """Writer of the masks; None for objects where the network was trained on them, else as the image came."""
    probabilities: bool = False
    """Also write those of each class, in 8 bits."""


_DEFAULT = PredictOptions()


def predict_paths(
    run_uri: str,
    source: str,
    out: str,
    options: PredictOptions = _DEFAULT,
    *,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Segment every image that `source` names; writes `out/<same folder>/<same stem>` in the
    form the image came in: PNG for pictures, NIfTI for NIfTI, GeoTIFF for images with a place on the Earth.

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
    manifest = RunDir(run_uri).require().read_dataset()
    options = replace(options, format=trained_writer(options.format, manifest))
    images = find_images(source, manifest.channel_files)
    target = open_storage(out)
    outputs = output_names(
        images, overlay=options.overlay, wanted=options.format, probabilities=options.probabilities
    )
    refuse_images(target, images, outputs)
    if not options.overwrite:
        refuse_existing(target, outputs)
    predictor = Predictor.from_run(run_uri, level=options.level)
    start = time.perf_counter()
    failed, records = _predict_all(predictor, images, target, options, on_image)
    seconds = time.perf_counter() - start
    if len(failed) == len(images.images):
        first = f"{failed[0]['file']}: {failed[0]['reason']}"
        raise InputError(f"none of {len(failed)} images could be predicted; {first}")
    finish(records, target, manifest, options.format)
    predicted = len(images.images) - len(failed)
    return {
        "images": len(images.images),
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
) -> tuple[list[dict[str, str]], list[Any]]:
    """Returns what failed, and what the writers keep of the others."""
    failed: list[dict[str, str]] = []
    records: list[Any] = []
    storage_failures = 0
    total = len(images.images)
    for done, (image, decoded) in enumerate(_decode_ahead(images, predictor.run.manifest), start=1):
        path = image.name
        try:
            records.append(_predict_one(predictor, decoded.result(), image, target, options))
            storage_failures = 0
        except (InputError, StorageError, UnreadFileError, MemoryError) as error:
            reason = _reason(error) or "it does not fit into memory; cut it into parts"
            if options.strict:
                raise InputError(f"{path}: {reason}; --strict stops at the first failure") from error
            failed.append({"file": path, "reason": reason})
            storage_failures = storage_failures + 1 if isinstance(error, StorageError) else 0
            if storage_failures == _MAX_STORAGE_FAILURES:
                raise StorageError(
                    f"stopped at image {done} of {total}, {path}: {reason}; the "
                    f"{storage_failures - 1} before failed, too; mend it, then use --overwrite"
                ) from error
        on_image(done, total)
    return failed, records


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, UnreadFileError) else str(error)


@dataclass(frozen=True)
class _Opened:
    space: Space
    pixels: NDArray[Any]
    """Filled where there is no data; a large raster is not decoded here and has none."""
    valid: NDArray[np.bool_] | None = None
    is_large: bool = False


def _decode_ahead(images: ImageSet, manifest: Manifest) -> Iterator[tuple[InputImage, Future[_Opened]]]:
    """Read and decode in threads, in order, `_AHEAD` images before they are needed."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[InputImage, Future[_Opened]]] = deque()
        for image in images.images:
            waiting.append((image, pool.submit(_decode, image, manifest)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def _decode(image: InputImage, manifest: Manifest) -> _Opened:
    with open_channels(image.files) as raster:
        if is_large(raster):
            return _Opened(raster.space, np.empty(0), is_large=True)
        pixels = raster.read()
        fill = [stats.mean for stats in manifest.channel_stats] * (
            pixels.values.shape[-1] == manifest.channels
        )
        return _Opened(raster.space, filled(pixels.values, pixels.valid, fill or None), pixels.valid)


def _predict_one(
    predictor: Predictor, opened: _Opened, image: InputImage, target: Storage, options: PredictOptions
) -> Any:
    if opened.is_large:
        return _predict_large(predictor, image, target, options)
    manifest = predictor.run.manifest
    pixels = check_any(opened.pixels, manifest)
    probabilities, objects = None, None
    with_objects = needs_objects(image.files[0], options.format)
    if (options.probabilities or with_objects) and pixels.ndim == 3:
        prediction = predictor.predict(pixels)
        mask = prediction.mask
        probabilities = quantised(prediction.probabilities) if options.probabilities else None
        objects = find_objects(prediction.probabilities, manifest, opened.valid) if with_objects else None
    else:
        mask = segment(predictor, pixels)
    found = Segmented(image.files, opened.space, mask, manifest, opened.valid, probabilities, objects)
    record = _write(found, image, target, options)
    if options.overlay:
        shown = fullest_slice(pixels, mask, manifest.slices)
        target.write(overlay_name(image), overlay_png(*shown, manifest))
    return record


def _predict_large(predictor: Predictor, image: InputImage, target: Storage, options: PredictOptions) -> Any:
    with (
        open_channels(image.files) as raster,
        segment_large(predictor, raster, probabilities=options.probabilities) as found,
    ):
        manifest = predictor.run.manifest
        segmented = Segmented(
            image.files, raster.space, found.mask, manifest, found.valid, found.probabilities
        )
        record = _write(segmented, image, target, options)
        if options.overlay:
            logger.warning(
                "%s: no overlay is drawn of an image this large; open the mask in a viewer", image.name
            )
    return record


def _write(segmented: Segmented, image: InputImage, target: Storage, options: PredictOptions) -> Any:
    record = write_mask(segmented, target, mask_name(image, options.format), options.format)
    if segmented.probabilities is not None:
        write_probabilities(segmented, target, probabilities_name(image, options.format), options.format)
    return record
