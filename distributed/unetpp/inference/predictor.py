"""One image in, one mask of its size out, from a model loaded once.

Shapes: H height, W width, C image channels, K classes; volumes have planes in front of H.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest, Task
from unetpp.data.images.channels import match_channels
from unetpp.data.images.resize import resize_image
from unetpp.inference.device import pick_device
from unetpp.inference.engines.network import Network
from unetpp.inference.engines.registry import is_export
from unetpp.inference.ensemble.load import Averaging, load_network
from unetpp.inference.masks.decide import NEVER
from unetpp.inference.prediction import Prediction
from unetpp.inference.windows import FittingWindows
from unetpp.models.inference import predict_logits
from unetpp.models.output import ModelOutput
from unetpp.models.strips import predict_strips
from unetpp.objective.counts import predicted_classes

__all__ = ["Predictor", "Strip", "check_image", "masks_from_logits", "probabilities_from_logits"]

T = TypeVar("T")
_ALONE = Averaging()
_LEAST = 1e-6
"""Probabilities below it count as it."""


@dataclass(frozen=True)
class Strip:
    """Some rows of an image."""

    top: int
    """The first of them."""
    mask: NDArray[np.uint8]
    """rows W."""
    probabilities: NDArray[np.float32]
    """K rows W."""
    next_best: NDArray[np.uint8] | None
    """rows W: the most probable class but that of the mask, where small objects become it."""


class Predictor:
    """Predicts with the head of a network, windows and memory seen to."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self.manifest, self.step, self.chosen = network.manifest, network.step, network.chosen
        self.level = network.level
        """The head that predicts."""
        self.decision = network.decision
        """How logits are read."""
        self.device = device
        self.model = network.model
        self.resized_px = network.manifest.resized_px
        self._normalise, self._autocast = network.normalise, network.autocast
        self._at_once_px = network.at_once_px
        self._windows, self._least_px = FittingWindows(network.window_px, device), network.patch_px

    @classmethod
    def of(
        cls,
        places: str | Sequence[str],
        *,
        level: int | None = None,
        dilation: Sequence[int] | None = None,
        averaging: Averaging = _ALONE,
        thresholds: tuple[float, ...] | None = None,
        min_object_px: int = 0,
    ) -> "Predictor":
        """Of a run's best checkpoint or a file that `export` wrote, or of several that predict together.

        Raises:
            UserError: see `load_network`.
        """
        listed = [places] if isinstance(places, str) else list(places)
        # Engines see to their own device; a mean of theirs is taken on the CPU.
        device = torch.device("cpu") if all(map(is_export, listed)) else pick_device()
        network = load_network(
            listed,
            level=level,
            dilation=dilation,
            averaging=averaging,
            thresholds=thresholds,
            min_object_px=min_object_px,
            device=device,
        )
        return cls(network, device)

    @classmethod
    def from_run(
        cls, run_uri: str, *, level: int | None = None, dilation: Sequence[int] | None = None
    ) -> "Predictor":
        """Load the best checkpoint of a run, pruned to `level` where given; `dilation` as in `load_run`."""
        return cls.of(run_uri, level=level, dilation=dilation)

    def predict(self, image: NDArray[np.generic]) -> Prediction:
        """Segment one image (H, W[, C]), or volume (Z, H, W[, C]), in the dtype of the training data.

        Raises:
            InputError: channels, dtype or values are not those of the training data, or memory does not
                suffice.
        """
        (found,) = self._each([image], self._predictions)
        return found

    def mask(self, image: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The mask alone of what `predict` gives; the probabilities stay where they are computed."""
        (found,) = self._each([image], self._only_masks)
        return found

    def predict_many(self, images: Sequence[NDArray[np.generic]]) -> list[Prediction]:
        """What `predict` gives of each; neighbours of one shape share passes, see `at_once`.

        Raises:
            InputError: see `predict`, of any of them.
        """
        return self._each(images, self._predictions)

    def predict_levels(
        self, images: Sequence[NDArray[np.generic]]
    ) -> list[tuple[Prediction, tuple[Tensor, ...]]]:
        """What `predict` gives of each, and float32 logits (1, K, *size) of each level, at the size that the
        network takes; a mean of levels or of networks has one.
        """
        return self._each(images, self._predictions_and_levels)

    def masks(self, images: Sequence[NDArray[np.generic]]) -> list[NDArray[np.uint8]]:
        """What `mask` gives of each; neighbours of one shape share passes, see `at_once`."""
        return self._each(images, self._only_masks)

    def at_once(self, size_px: Sequence[int]) -> int:
        """Images of this size that share a pass: as many as are quicker together, and give what each alone
        does.
        """
        size_px = size_px if self.resized_px is None else (self.resized_px, self.resized_px)
        return max(1, self._at_once_px // math.prod(size_px))

    def predict_strips(self, size: tuple[int, int], read: Callable[[int, int], Tensor]) -> Iterator["Strip"]:
        """Parts of an image that is read by rows, decided on without a least size of objects.

        Args:
            size: H and W.
            read: raw pixels (1, C, rows, W) of the rows from the first up to the second number.
        """

        def normalised(top: int, stop: int) -> Tensor:
            pixels: Tensor = self._normalise.to("cpu")(read(top, stop))
            return pixels

        with torch.inference_mode(), self._autocast(self.device):
            windows = self._windows.size_px
            for top, logits in predict_strips(
                self.model,
                size,
                normalised,
                window_px=windows,
                least_px=self._least_px,
                device=self.device,
            ):
                yield self._strip(top, logits[None])

    def _strip(self, top: int, logits: Tensor) -> "Strip":
        manifest = self.manifest
        decided = replace(self.decision, min_object_px=0).apply(logits, manifest)
        mask = masks_from_logits(decided, manifest.task)
        probabilities = probabilities_from_logits(logits, manifest.task)[0].numpy()
        next_best = None
        if self.decision.min_object_px > 1 and manifest.task == "multiclass":
            next_best = predicted_classes(decided.float().scatter(1, mask.long()[:, None], NEVER))[0].numpy()
        return Strip(top, mask[0].numpy(), probabilities, next_best)

    def fit(self, size_px: Sequence[int], compute: Callable[[], T]) -> T:
        """What `compute` gives, in windows as small as memory demands; see `FittingWindows.fit`."""
        return self._windows.fit(size_px, compute)

    def _each(
        self, images: Sequence[NDArray[np.generic]], compute: Callable[[NDArray[np.generic]], list[T]]
    ) -> list[T]:
        """Results in the images' order; `compute` gets (N, *size, C)."""
        found: list[T] = []
        for shape, group in groupby(
            (check_image(image, self.manifest) for image in images), key=lambda pixels: pixels.shape
        ):
            size_px = shape[:-1] if self.resized_px is None else (self.resized_px, self.resized_px)
            while batch := list(islice(group, self.at_once(shape[:-1]))):
                stacked = np.stack(batch)
                found += self._windows.fit(size_px, partial(compute, stacked))
        return found

    def _predictions(self, pixels: NDArray[np.generic]) -> list[Prediction]:
        return self._told(self._logits(pixels))

    def _predictions_and_levels(
        self, pixels: NDArray[np.generic]
    ) -> list[tuple[Prediction, tuple[Tensor, ...]]]:
        levels = [level.float() for level in self._output(pixels).levels]
        found = self._told(_sized(levels[-1], pixels.shape[1:-1]))
        return [
            (prediction, tuple(level[n : n + 1] for level in levels)) for n, prediction in enumerate(found)
        ]

    def _told(self, logits: Tensor) -> list[Prediction]:
        masks = self._masks(logits).cpu().numpy()
        probabilities = probabilities_from_logits(logits, self.manifest.task).cpu().numpy()
        return [Prediction(*pair, self.manifest) for pair in zip(masks, probabilities, strict=True)]

    def _only_masks(self, pixels: NDArray[np.generic]) -> list[NDArray[np.uint8]]:
        return list(self._masks(self._logits(pixels)).cpu().numpy())

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The mask (*size) of probabilities (K, *size), as this model decides."""
        chances = torch.from_numpy(probabilities)[None].clamp(_LEAST, 1 - _LEAST)
        logits = chances.log() if self.manifest.task == "multiclass" else chances.logit()
        return self._masks(logits)[0].numpy()

    def _masks(self, logits: Tensor) -> Tensor:
        return masks_from_logits(self.decision.apply(logits, self.manifest), self.manifest.task)

    @torch.inference_mode()
    def _logits(self, pixels: NDArray[np.generic]) -> Tensor:
        """float32 (N, K, *size) of images (N, *size, C), at the images' own size."""
        return _sized(self._output(pixels).levels[-1].float(), pixels.shape[1:-1])

    @torch.inference_mode()
    def _output(self, pixels: NDArray[np.generic]) -> ModelOutput:
        """Of images (N, *size, C), at the size that the network takes."""
        if self.resized_px is not None:
            side_px = self.resized_px
            pixels = np.stack([resize_image(image, side_px, side_px) for image in pixels])
        windows = self._windows
        # (N, *size, C) -> (N, C, *size)
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 1).to(windows.blend_on)
        normalised = self._normalise.to(windows.blend_on)(batch)
        with self._autocast(self.device):
            return predict_logits(
                self.model,
                normalised,
                window_px=windows.size_px,
                least_px=self._least_px,
                device=self.device,
            )


def _sized(logits: Tensor, size: Sequence[int]) -> Tensor:
    if logits.shape[2:] == tuple(size):
        return logits
    shrinks = any(side < found for side, found in zip(size, logits.shape[2:], strict=True))
    return F.interpolate(logits, tuple(size), mode="bilinear", antialias=shrinks)


def check_image(image: NDArray[np.generic], manifest: Manifest) -> NDArray[np.generic]:
    """The image as (*size, C) with the channels of the training data; grey and RGB as packing takes them.

    Raises:
        InputError: channels, dtype or values are not those of the training data.
    """
    dims = manifest.spatial_dims
    pixels = image[..., None] if image.ndim == dims else image
    if pixels.ndim != dims + 1 or 0 in pixels.shape:
        axes = "height, width" if dims == 2 else "planes, height, width"
        raise InputError(f"an image of this model is ({axes}[, channels]); this one is {image.shape}")
    pixels = match_channels(pixels, manifest.channels)
    if pixels.shape[-1] != manifest.channels:
        raise InputError(
            f"image has {pixels.shape[-1]} channels, the model takes {manifest.channels}; "
            f"convert the image as the training images were"
        )
    if pixels.dtype.name != manifest.dtype:
        raise InputError(
            f"image is {pixels.dtype.name}, the model was trained on {manifest.dtype}; "
            f"convert the image as the training images were"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError("image holds NaN or Inf; replace them by finite values")
    return pixels


def probabilities_from_logits(logits: Tensor, task: Task) -> Tensor:
    """Softmax over classes for a multiclass task, else sigmoid; (N, K, *size)."""
    return logits.softmax(1) if task == "multiclass" else logits.sigmoid()


def masks_from_logits(logits: Tensor, task: Task) -> Tensor:
    """uint8 (N, *size): class index, or bit k where label k has a probability above one half."""
    if task != "multilabel":
        return predicted_classes(logits)
    bits = logits.new_zeros((len(logits), *logits.shape[2:]), dtype=torch.uint8)
    for label, chances in enumerate(logits.unbind(1)):
        bits |= (chances > 0).byte() << label
    return bits
