"""Predict many files, each answered in the form it came in; errors are reported and passed over."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import IGNORE
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.channels import match_channels
from unetpp.data.images.header import Header
from unetpp.data.images.pixels import Pixels, Reading, complete
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import FileRef, UnreadFileError
from unetpp.data.sources.raster import Space
from unetpp.data.sources.spacing import shape_of
from unetpp.inference.engines.registry import is_export
from unetpp.inference.ensemble.load import Averaging
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
from unetpp.inference.volumes import STEPS, check_any, fullest_slice, prepared, segment
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
    probabilities: bool = False
    """Also write those of each class, beside the mask."""
    format: str | None = None
    """Writer of the masks; None for the form the image came in."""
    dilation: tuple[int, ...] | None = None
    """Of a run whose weights several vectors of dilations share, see `load_run`."""
    tta: bool = False
    """Test-time augmentation: average over the flips and quarter turns that the training's had."""
    average_levels: bool = False
    """Average over the levels up to the head that is used."""

    @property
    def of_model(self) -> dict[str, Any]:
        """Those of `Predictor.of`."""
        averaging = Averaging(tta=self.tta, levels=self.average_levels)
        return {"level": self.level, "dilation": self.dilation, "averaging": averaging}


_DEFAULT = PredictOptions()


def predict_paths(
    models: str | Sequence[str],
    source: str,
    out: str,
    options: PredictOptions = _DEFAULT,
    *,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Segment every image that `source` names; writes `out/<same folder>/<same stem>` in the
    form the image came in: PNG for pictures, NIfTI for NIfTI, GeoTIFF for images with a place on the Earth.

    A mask has the size of its image. Its values are class indices (binary: 0 and 1; multilabel: bit k set
    where label k is present), which a palette shows in the class colours; 255 where the image holds no data.

    Args:
        models: a run, or a file that `export` wrote; of several the mean.
        on_image: called with (images done, images in all) after each one.

    Returns:
        images, predicted, failed [{file, reason}], out, level, models (their number), seconds, images_per_s.

    Raises:
        InputError: no image at `source`, images and masks would get mixed up, models differ, no image could
            be predicted, or one could not where that is to be strict.
        StorageError: several images in a row could not be read or their masks not written.
        ExistsError: an output exists and must not be replaced.
    """
    places = [models] if isinstance(models, str) else list(models)
    load = partial(Predictor.of, places, **options.of_model)
    export = load() if is_export(places[0]) else None
    manifest = RunDir(places[0]).require().read_dataset() if export is None else export.manifest
    options = replace(options, format=trained_writer(options.format, manifest))
    images = find_images(source, manifest.channel_files)
    target = open_storage(out)
    outputs = output_names(
        images, overlay=options.overlay, probabilities=options.probabilities, wanted=options.format
    )
    refuse_images(target, images, outputs)
    if not options.overwrite:
        refuse_existing(target, outputs)
    predictor = export or load()  # after all that can be refused without the weights
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
        "models": len(places),
        **predictor.chosen,
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
    manifest = predictor.manifest
    # A volume has the bytes of some hundred pictures.
    ahead = _AHEAD if manifest.slices is None and manifest.spatial_dims == 2 else 1
    reading = Reading.of(manifest.reading)
    for done, (image, decoded) in enumerate(_decode_ahead(images, ahead, reading), start=1):
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
    header: Header
    space: Space
    pixels: Pixels | None
    """None of a raster so large that it is read when it is predicted."""


def _decode_ahead(
    images: ImageSet, ahead: int, reading: Reading
) -> Iterator[tuple[InputImage, Future[_Opened]]]:
    """Read and decode in threads, in order, so many images before they are needed."""
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[InputImage, Future[_Opened]]] = deque()
        for image in images.images:
            waiting.append((image, pool.submit(_decode, image, reading)))
            if len(waiting) > ahead:
                yield waiting.popleft()
        yield from waiting


def _decode(image: InputImage, reading: Reading) -> _Opened:
    with open_channels(_read_alike(image, reading)) as raster:
        pixels = None if is_large(raster) else complete(raster.read(), reading)
        return _Opened(raster.header, raster.space, pixels)


def _predict_one(
    predictor: Predictor, opened: _Opened, image: InputImage, target: Storage, options: PredictOptions
) -> Any:
    manifest = predictor.manifest
    if opened.pixels is None:
        return _predict_large(predictor, image, target, options)
    values, valid = opened.pixels.values, opened.pixels.valid
    pixels = check_any(prepared(values, opened.header, opened.space, manifest), manifest)
    with_objects = needs_objects(image.files[0], options.format) and opened.header.planes is None
    with_chances = options.probabilities or with_objects
    result = segment(predictor, pixels, shape_of(opened.header), probabilities=with_chances)
    objects = find_objects(_chances(result.probabilities), manifest, valid) if with_objects else None
    if valid is not None:
        result.mask[~valid] = IGNORE
    found = Segmented(image.files, opened.space, result.mask, manifest, result.probabilities, valid, objects)
    record = _write(found, image, target, options)
    if options.overlay:
        whole = match_channels(values, manifest.channels)
        shown = fullest_slice(whole, result.mask, manifest.slices)
        target.write(overlay_name(image), overlay_png(*shown, manifest))
    return record


def _chances(probabilities: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """(K, H, W) of H W K in steps of 1 / STEPS."""
    assert probabilities is not None
    chances: NDArray[np.float32] = np.divide(np.moveaxis(probabilities, -1, 0), STEPS, dtype=np.float32)
    return chances


def _predict_large(predictor: Predictor, image: InputImage, target: Storage, options: PredictOptions) -> Any:
    manifest = predictor.manifest
    with (
        open_channels(_read_alike(image, Reading.of(manifest.reading))) as raster,
        segment_large(predictor, raster, probabilities=options.probabilities) as found,
    ):
        segmented = Segmented(
            image.files, raster.space, found.mask, manifest, found.probabilities, found.valid
        )
        record = _write(segmented, image, target, options)
    if options.overlay:
        logger.warning("%s is too large for an overlay; open its mask in a viewer", image.name)
    return record


def _write(segmented: Segmented, image: InputImage, target: Storage, options: PredictOptions) -> Any:
    record = write_mask(segmented, target, mask_name(image, options.format), options.format)
    if options.probabilities:
        write_probabilities(segmented, target, probabilities_name(image, options.format), options.format)
    return record


def _read_alike(image: InputImage, reading: Reading) -> list[FileRef]:
    """The image's files, understood as those of the training data were."""
    return [replace(file, reading=reading) for file in image.files]
