"""One model, and images that pass through it: decoded ahead, predicted, written behind.

A process of its own, or each actor of a pool, has one; both give the same bytes.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import IGNORE
from unetpp.core.storage import Storage
from unetpp.data.images.channels import match_channels
from unetpp.data.images.pixels import Reading
from unetpp.data.sources.files import UnreadFileError
from unetpp.data.sources.spacing import shape_of
from unetpp.inference.inputs import InputImage
from unetpp.inference.many.options import PredictOptions
from unetpp.inference.many.reading import Opened, as_trained, open_ahead, open_as_trained
from unetpp.inference.objects.find import Objects, find_objects
from unetpp.inference.outputs import mask_name, overlay_name, probabilities_name
from unetpp.inference.overlay import overlay_png
from unetpp.inference.predictor import Predictor
from unetpp.inference.review.rank import Doubted, Reviewer
from unetpp.inference.strips import segment_large
from unetpp.inference.volumes import (
    STEPS,
    Result,
    fullest_slice,
    segment,
    segment_pictures,
)
from unetpp.inference.writers.registry import Segmented, needs_objects, write_mask, write_probabilities

__all__ = ["Outcome", "Worker"]

logger = logging.getLogger(__name__)

_WRITTEN_AT_ONCE = 4
_FAILURES = (InputError, StorageError, UnreadFileError, MemoryError)
"""What is wrong with one image; anything else is wrong with the program."""


@dataclass(frozen=True)
class Outcome:
    """What became of an image."""

    name: str
    reason: str | None = None
    """Why there is no mask."""
    is_storage: bool = False
    """Whether a storage is at fault, rather than the image."""
    record: Any = None
    """What the writer keeps for the files for all images; JSON."""
    doubted: Doubted | None = None
    """How certain the network is, where a review is asked for; None of an image that is read by parts."""


@dataclass(frozen=True)
class _Ready:
    """An image as the network takes it."""

    image: InputImage
    opened: Opened
    pixels: NDArray[Any]

    @property
    def is_batched(self) -> bool:
        """Whether others of its shape may share a pass: a picture at its own size."""
        return self.pixels.ndim == 3 and self.pixels.shape[:-1] == shape_of(self.opened.header)


@dataclass(frozen=True)
class _Judged:
    """A result, and how certain the network is of it where that is asked for."""

    result: Result
    doubted: Doubted | None


class Worker:
    """Gives an `Outcome` for each image, once its outputs are written."""

    def __init__(self, predictor: Predictor, target: Storage, options: PredictOptions) -> None:
        self._predictor, self._target, self._options = predictor, target, options
        self._manifest = predictor.manifest
        keep = options.review
        self._review = None if keep is None else Reviewer(predictor.manifest, predictor.decision, keep)

    def __call__(self, images: Iterable[InputImage]) -> Iterator[Outcome]:
        """In about the images' order; an image that fails does not keep the others."""
        written: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(_WRITTEN_AT_ONCE) as pool:
            for image, found, result in self._results(images):
                if isinstance(result, Outcome):
                    yield result
                    continue
                written.append(pool.submit(self._finish, image, found, result))
                while len(written) > _WRITTEN_AT_ONCE:
                    yield written.popleft().result()
            while written:
                yield written.popleft().result()

    def _results(self, images: Iterable[InputImage]) -> Iterator[tuple[InputImage, Any, Any]]:
        """Image, what was opened, and the result; or an outcome in place of the result."""
        held: list[_Ready] = []
        for image, opened in open_ahead(images, self._manifest):
            try:
                ready = self._ready(image, opened.result())
            except _FAILURES as error:
                yield image, None, _failed(image, error)
                continue
            if ready is None:
                yield image, None, self._large(image)
                continue
            if held and not self._may_join(held, ready):
                yield from self._segmented(held)
                held = []
            held.append(ready)
        yield from self._segmented(held)

    def _ready(self, image: InputImage, opened: Opened) -> _Ready | None:
        """None of an image that is read as it is predicted."""
        if opened.pixels is None:
            return None
        return _Ready(image, opened, as_trained(image, opened, self._manifest))

    def _may_join(self, held: list[_Ready], ready: _Ready) -> bool:
        first = held[0]
        if not (first.is_batched and ready.is_batched and first.pixels.shape == ready.pixels.shape):
            return False
        return len(held) < self._predictor.at_once(ready.pixels.shape[:-1])

    def _segmented(self, held: list[_Ready]) -> Iterator[tuple[InputImage, Opened, Any]]:
        if len(held) == 1 and not held[0].is_batched:
            results = [self._alone(held[0])]
        elif held:
            results = self._together(held)
        else:
            return
        for ready, result in zip(held, results, strict=True):
            yield ready.image, ready.opened, self._judged(ready, result)

    def _judged(self, ready: _Ready, result: Result | Outcome) -> _Judged | Outcome:
        if isinstance(result, Outcome):
            return result
        if self._review is None:
            return _Judged(result, None)
        doubted = self._review(ready.image.name, ready.pixels, result.levels)
        return _Judged(replace(result, levels=()), doubted)

    def _alone(self, ready: _Ready) -> Result | Outcome:
        grid = shape_of(ready.opened.header)
        try:
            asked = {"probabilities": self._needs_chances(ready), "levels": self._review is not None}
            return segment(self._predictor, ready.pixels, grid, **asked)
        except _FAILURES as error:
            return _failed(ready.image, error)

    def _together(self, held: list[_Ready]) -> list[Result | Outcome]:
        asked = {"probabilities": any(map(self._needs_chances, held)), "levels": self._review is not None}
        try:
            found = segment_pictures(self._predictor, [ready.pixels for ready in held], **asked)
        except _FAILURES as error:
            if len(held) > 1:
                return [result for ready in held for result in self._together([ready])]
            return [_failed(held[0].image, error)]
        return list(found)

    def _needs_chances(self, ready: _Ready) -> bool:
        return self._options.probabilities or self._with_objects(ready.image, ready.opened)

    def _with_objects(self, image: InputImage, opened: Opened) -> bool:
        return needs_objects(image.files[0], self._options.format) and opened.header.planes is None

    def _finish(self, image: InputImage, opened: Opened, judged: _Judged) -> Outcome:
        """Encode and write."""
        assert opened.pixels is not None
        result = judged.result
        valid, manifest = opened.pixels.valid, self._manifest
        try:
            with_objects = self._with_objects(image, opened)
            objects = self._objects(result, valid) if with_objects else None
            if valid is not None:
                result.mask[~valid] = IGNORE
            found = Segmented(
                image.files, opened.space, result.mask, manifest, result.probabilities, valid, objects
            )
            record = self._write(found, image)
            if self._options.overlay:
                whole = match_channels(opened.pixels.values, manifest.channels)
                shown = fullest_slice(whole, result.mask, manifest.slices)
                self._target.write(overlay_name(image), overlay_png(*shown, manifest))
        except _FAILURES as error:
            return _failed(image, error)
        return Outcome(image.name, record=record, doubted=judged.doubted)

    def _objects(self, result: Result, valid: NDArray[np.bool_] | None) -> Objects:
        """Of what the mask has; where borders tell objects apart it has no part in them."""
        manifest, decision = self._manifest, self._predictor.decision
        if manifest.instances is not None or decision.is_plain:
            return find_objects(_chances(result.probabilities), manifest, valid)
        kept = result.mask > 0 if valid is None else (result.mask > 0) & valid
        if manifest.task == "multiclass":
            return find_objects(_weighed(_chances(result.probabilities), decision.thresholds), manifest, kept)
        threshold = decision.thresholds[0] if decision.thresholds else 0.5
        return find_objects(_chances(result.probabilities), manifest, kept, threshold)

    def _large(self, image: InputImage) -> Outcome:
        """Strip by strip, and written at once: it is held in files."""
        manifest, options = self._manifest, self._options
        try:
            with (
                open_as_trained(image, Reading.of(manifest.reading)) as raster,
                segment_large(self._predictor, raster, probabilities=options.probabilities) as found,
            ):
                segmented = Segmented(
                    image.files, raster.space, found.mask, manifest, found.probabilities, found.valid
                )
                record = self._write(segmented, image)
        except _FAILURES as error:
            return _failed(image, error)
        if options.overlay:
            logger.warning("%s is too large for an overlay; open its mask in a viewer", image.name)
        return Outcome(image.name, record=record)

    def _write(self, segmented: Segmented, image: InputImage) -> Any:
        options, target = self._options, self._target
        record = write_mask(segmented, target, mask_name(image, options.format), options.format)
        if options.probabilities:
            write_probabilities(segmented, target, probabilities_name(image, options.format), options.format)
        return record


def _failed(image: InputImage, error: Exception) -> Outcome:
    reason = error.reason if isinstance(error, UnreadFileError) else str(error)
    reason = reason or "it does not fit into memory; cut it into parts"
    return Outcome(image.name, reason, isinstance(error, StorageError))


def _weighed(chances: NDArray[np.float32], thresholds: Sequence[float]) -> NDArray[np.float32]:
    """Probabilities (K, H, W) whose largest is the class that thresholds decide on."""
    if not thresholds:
        return chances
    odds = np.array([(1 - each) / each for each in thresholds], np.float32)
    weighed = chances * odds[:, None, None]
    found: NDArray[np.float32] = weighed / np.maximum(weighed.sum(0), np.float32(1e-6))
    return found


def _chances(probabilities: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """(K, H, W) of H W K in steps of 1 / STEPS."""
    assert probabilities is not None
    chances: NDArray[np.float32] = np.divide(np.moveaxis(probabilities, -1, 0), STEPS, dtype=np.float32)
    return chances
