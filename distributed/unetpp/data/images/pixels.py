"""Decoded pixels and which of them hold data, and what a file leaves open about them.

Shapes: H W C of a picture, Z H W C of a volume: Z planes, H height, W width, C channels.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.data.images.header import SampleError

__all__ = ["PLAIN", "Pixels", "Reading", "complete"]

_Alpha = Literal["keep", "drop"]
_Nan = Literal["ignore"]
_Pages = Literal["channels"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What files of a dataset leave open and its user has settled; None where nothing was said."""

    alpha: _Alpha | None = None
    """Whether a band that a TIFF tags as alpha is data, where it is not constant."""
    nan: _Nan | None = None
    """Pixels that are NaN or infinite hold no data; by default such an image is refused."""
    pages: _Pages | None = None
    """The pages of a TIFF that says nothing of them are channels; by default planes of a volume."""

    @classmethod
    def of(cls, options: Mapping[str, str | None]) -> "Reading":
        """From options by name.

        Raises:
            InputError: a value that an option does not have.
        """
        for name, kind in (("alpha", _Alpha), ("nan", _Nan), ("pages", _Pages)):
            value = options.get(name)
            if value is not None and value not in get_args(kind):
                raise InputError(f"--{name} {value} must be {' or '.join(get_args(kind))}")
        return cls(**options)  # type: ignore[arg-type]

    def settled(self) -> dict[str, str]:
        """Options by name, without those that nothing was said of."""
        return {name: value for name, value in asdict(self).items() if value is not None}


PLAIN = Reading()
"""Nothing was said."""


@dataclass(frozen=True)
class Pixels:
    """`values` H W C or Z H W C; `valid` without C is False where a pixel holds no data, None if all do."""

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None


def complete(pixels: Pixels, reading: Reading) -> Pixels:
    """Put each channel's mean over the pixels with data where there is none, in packing and in predicting.

    Such pixels never count: they are ignored in masks and left out of statistics. The mean disturbs a
    network's view of their neighbours least.

    Raises:
        SampleError: NaN or Inf, of which nothing was said.
    """
    values, valid = pixels.values, pixels.valid
    if values.dtype.kind == "f":
        finite = np.isfinite(values).all(axis=-1)
        known = finite if valid is None else finite | ~valid
        if not known.all():
            if reading.nan is None:
                raise SampleError(
                    "the image holds NaN or Inf; replace them, or leave these pixels out with --nan ignore"
                )
            valid = finite if valid is None else finite & valid
    if valid is None or valid.all():
        return Pixels(values)
    filled = values.copy()
    counted = values[valid]
    mean = counted.mean(axis=0, dtype=np.float64) if len(counted) else np.zeros(values.shape[-1])
    filled[~valid] = mean if values.dtype.kind == "f" else np.rint(mean).astype(values.dtype)
    return Pixels(filled, valid)
