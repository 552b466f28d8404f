"""Mergeable statistics of packed samples; one pass, exact for integer images.

Percentiles come from histograms: one bin per value for uint8 and uint16; for float32 one bin per upper half
of the order-preserving bit pattern, which bounds the relative error of a percentile by 1/128.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE, ChannelStats, Task
from unetpp.data.dataset.sample import Sample
from unetpp.data.dataset.stored_masks import class_pixels, value_counts

__all__ = ["DatasetStats", "PixelStats"]

_BINS = {"uint8": 256, "uint16": 65536, "float32": 65536}
_DECILES = 10
_BLOCK_PIXELS = 2**18
"""Counting needs 8 bytes for each byte counted, so large images are counted in blocks."""


@dataclass
class PixelStats:
    """Statistics of images and masks; `histograms` is int64 (C, bins), moments are float64 (C,)."""

    histograms: NDArray[np.int64]
    dtype: str
    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    """Sum of squared deviations from the mean."""
    class_pixels: NDArray[np.int64]
    foreground_histogram: NDArray[np.int64]

    @classmethod
    def empty(cls, channels: int, dtype: str, num_classes: int) -> "PixelStats":
        return cls(
            np.zeros((channels, _BINS[dtype]), np.int64),
            dtype,
            0,
            np.zeros(channels),
            np.zeros(channels),
            np.zeros(num_classes, np.int64),
            np.zeros(_DECILES, np.int64),
        )

    def add(
        self,
        image: NDArray[Any],
        mask: NDArray[np.uint8],
        task: Task,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count one sample: image (*size, C), stored mask of that size; pixels not valid are left out."""
        pixels = image.reshape(-1, image.shape[-1]) if valid is None else image[valid]
        for start in range(0, len(pixels), _BLOCK_PIXELS):
            self._add_block(pixels[start : start + _BLOCK_PIXELS])
        counts = value_counts(mask)
        self.class_pixels += class_pixels(counts, len(self.class_pixels), task)
        if counts[:IGNORE].any():
            self.foreground_histogram[_foreground_decile(counts)] += 1

    def merge(self, other: "PixelStats") -> None:
        """Add the other's samples."""
        self.histograms += other.histograms
        self._merge_moments(other.count, other.mean, other.squares)
        self.class_pixels += other.class_pixels
        self.foreground_histogram += other.foreground_histogram

    def channel_stats(self) -> tuple[ChannelStats, ...]:
        """Mean, standard deviation and percentiles per channel, in raw units."""
        deviation = np.sqrt(self.squares / max(self.count, 1))
        return tuple(
            ChannelStats(
                mean=float(self.mean[channel]),
                std=float(deviation[channel]),
                p01=self._percentile(channel, 0.01),
                p50=self._percentile(channel, 0.50),
                p99=self._percentile(channel, 0.99),
            )
            for channel in range(len(self.mean))
        )

    def _add_block(self, pixels: NDArray[Any]) -> None:
        # pixels: (N, C)
        for channel in range(pixels.shape[1]):
            bins = _bins(pixels[:, channel])
            self.histograms[channel] += np.bincount(bins, minlength=self.histograms.shape[1])
        values = pixels.astype(np.float64)
        mean = values.mean(axis=0)
        self._merge_moments(len(values), mean, ((values - mean) ** 2).sum(axis=0))

    def _merge_moments(self, count: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        # Chan et al. 1979: stable for any number of pixels, unlike sums of squares.
        if count == 0:
            return
        total = self.count + count
        delta = mean - self.mean
        self.squares += squares + delta**2 * (self.count * count / total)
        self.mean += delta * (count / total)
        self.count = total

    def _percentile(self, channel: int, fraction: float) -> float:
        cumulative = np.cumsum(self.histograms[channel])
        bin_index = int(np.searchsorted(cumulative, max(fraction * cumulative[-1], 1)))
        return _bin_value(bin_index) if self.dtype == "float32" else float(bin_index)


@dataclass
class DatasetStats:
    """Sizes of all rows and pixel statistics of those that count for them."""

    pixels: PixelStats
    sizes: Counter[str] = field(default_factory=Counter)
    spacings_mm: Counter[tuple[float, ...]] = field(default_factory=Counter)
    """Of the volumes that count for pixels."""

    def add(self, samples: Iterable[Sample], task: Task, *, with_pixels: bool) -> None:
        """Count samples; pixels too where asked."""
        for sample in samples:
            self.sizes["x".join(map(str, sample.mask.shape))] += 1
            if with_pixels and sample.mask.ndim == 3 and sample.space is not None:
                self.spacings_mm[sample.space.spacing_mm] += 1
            if with_pixels:
                self.pixels.add(sample.image, sample.mask, task, sample.valid)

    def merge(self, other: "DatasetStats") -> None:
        """Add the other's samples."""
        self.sizes += other.sizes
        self.spacings_mm += other.spacings_mm
        self.pixels.merge(other.pixels)

    def spacing_mm(self) -> tuple[float, ...] | None:
        """Lower median along each axis over the volumes that tell theirs."""
        told = [spacing for spacing in self.spacings_mm.elements() if spacing]
        if not told:
            return None
        return tuple(sorted(axis)[(len(told) - 1) // 2] for axis in zip(*told, strict=True))


def _bins(plane: NDArray[Any]) -> NDArray[np.int64]:
    flat = np.ascontiguousarray(plane).ravel()
    if flat.dtype != np.float32:
        return flat.astype(np.int64)
    bits = flat.view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ordered >> 16).astype(np.int64)


def _bin_value(bin_index: int) -> float:
    """A value in the middle of a float32 bin."""
    ordered = np.uint32(bin_index << 16 | 1 << 15)
    bits = ordered ^ np.uint32(1 << 31) if ordered >> 31 else ~ordered
    return float(np.array([bits], dtype=np.uint32).view(np.float32)[0])


def _foreground_decile(counts: NDArray[np.int64]) -> int:
    fraction = int(counts[1:IGNORE].sum()) / int(counts[:IGNORE].sum())
    return min(int(fraction * _DECILES), _DECILES - 1)
