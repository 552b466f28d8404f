"""The window of predictions: as large as in training, halved where memory does not suffice."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from unetpp.core.errors import InputError

__all__ = ["FittingWindows", "is_out_of_memory"]

logger = logging.getLogger(__name__)

_MIN_SIDE_PX = 64
_OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")
"""What torch's allocators, CUDA and its libraries say."""

T = TypeVar("T")


class FittingWindows:
    """Sides of the window and where its predictions are blended; both stay as small as once was needed."""

    def __init__(self, size_px: Sequence[int], device: torch.device) -> None:
        self.size_px = tuple(size_px)
        self.blend_on = device
        """Also where the whole image lies; the CPU, once memory did not suffice."""
        self._was_told = False

    def fit(self, image_px: Sequence[int], compute: Callable[[], T]) -> T:
        """The result of `compute`, which is called with ever smaller windows until it fits.

        Args:
            image_px: sides of the image; a window is not larger.

        Raises:
            InputError: the smallest window does not fit.
        """
        while True:
            try:
                return compute()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Not in the handler: the exception's frames hold the tensors that filled the memory.
            self._shrink(image_px)

    def _shrink(self, image_px: Sequence[int]) -> None:
        size_px = [min(pair) for pair in zip(self.size_px, image_px, strict=True)]
        if max(size_px) <= _MIN_SIDE_PX:
            raise InputError(
                f"an image of {_text(image_px)} px must fit into memory in windows of {_text(size_px)} px; "
                "it does not; free memory, or cut the image into parts"
            )
        self.size_px = tuple(max(min(side, _MIN_SIDE_PX), side // 2) for side in size_px)
        self.blend_on = torch.device("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if not self._was_told:
            self._was_told = True
            logger.warning(
                "memory does not suffice for windows of %s px; going on with smaller ones", _text(size_px)
            )


def _text(size_px: Sequence[int]) -> str:
    return " x ".join(map(str, size_px))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
