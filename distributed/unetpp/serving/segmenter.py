"""From the bytes of an image to the bytes of its answer, without a server."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.data.images.decode import read_header, read_image
from unetpp.data.images.pixels import Reading, complete
from unetpp.data.sources.window import clip
from unetpp.inference.prediction import Prediction
from unetpp.inference.predictor import Predictor, check_image
from unetpp.serving.answers import encode

__all__ = ["RequestError", "Segmentable", "Segmenter", "is_allowed", "token_digest"]

_PIXELS = 1e6


class RequestError(Exception):
    """A request that cannot be answered, with its HTTP status; the message is what the client reads."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Segmentable:
    """An image H W C as the network takes it, and which of its pixels hold data; None if all do."""

    image: NDArray[np.generic]
    valid: NDArray[np.bool_] | None


class Segmenter:
    """One model and what it takes.

    Args:
        model: a run's folder or URI, or a file that `export` wrote.
        level: head to use; None for the deepest.
        max_megapixels: largest image.
    """

    def __init__(self, model: str, level: int | None, max_megapixels: float) -> None:
        self._predictor = Predictor.of(model, level=level)
        self._max_pixels = max_megapixels * _PIXELS
        self._model = model
        manifest = self._predictor.manifest
        if manifest.spatial_dims != 2 or manifest.slices is not None:
            raise InputError("serve answers pictures, this model segments volumes; use predict")
        self._reading = Reading.of(manifest.reading)

    def decode(self, data: bytes) -> Segmentable:
        """The image in a request's body.

        Raises:
            RequestError: 413 too large, 415 no image, 422 an image of another kind than the training's.
        """
        try:
            header = read_header(data, self._reading)
        except InputError as error:
            raise RequestError(415, str(error)) from error
        if header.height * header.width > self._max_pixels:
            raise RequestError(
                413,
                f"the image of {header.height} x {header.width} pixels exceeds the limit of "
                f"{self._max_pixels / _PIXELS:g} megapixels",
            )
        try:
            pixels = complete(read_image(data, self._reading), self._reading)
            values = clip(pixels.values, self._predictor.manifest.window)
            return Segmentable(check_image(values, self._predictor.manifest), pixels.valid)
        except InputError as error:
            raise RequestError(422, str(error)) from error

    def answer(self, images: Sequence[Segmentable], forms: Sequence[str]) -> list[tuple[bytes, str]]:
        """Body and media type for each image; where one holds no data its mask is 255."""
        # Those of one shape follow one another, so that they share passes.
        order = sorted(range(len(images)), key=lambda index: images[index].image.shape)
        found = self._predictor.predict_many([images[index].image for index in order])
        predictions = dict(zip(order, found, strict=True))
        return [
            encode(_with_ignored(predictions[index], image), form)
            for index, (image, form) in enumerate(zip(images, forms, strict=True))
        ]

    def describe(self) -> dict[str, Any]:
        """What a client may want to know of the model."""
        manifest = self._predictor.manifest
        return {
            "status": "ok",
            "model": self._model.rstrip("/").rpartition("/")[2],
            "step": self._predictor.step,
            "level": self._predictor.level,
            "task": manifest.task,
            "classes": [entry.name for entry in manifest.classes],
            "channels": manifest.channels,
            "dtype": manifest.dtype,
        }


def _with_ignored(found: Prediction, image: Segmentable) -> Prediction:
    if image.valid is None:
        return found
    return replace(found, mask=np.where(image.valid, found.mask, np.uint8(IGNORE)))


def token_digest(token: str) -> str:
    """What a server keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_allowed(authorization: str, digest: str | None) -> bool:
    """Whether the header `Authorization: Bearer TOKEN` carries the token, or none is asked for."""
    if digest is None:
        return True
    kind, _, token = authorization.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(token_digest(token.strip()), digest)
