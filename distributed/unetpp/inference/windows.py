"""The window of predictions: as large as in training, halved where memory does not suffice."""

import logging
from collections.abc import Callable
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
    """Side of the window and where its predictions are blended; both stay as small as once was needed."""

    def __init__(self, side_px: int, device: torch.device) -> None:
        self.side_px = side_px
        self.blend_on = device
        """Also where the whole image lies; the CPU, once memory did not suffice."""
        self._was_told = False

    def fit(self, longest_px: int, compute: Callable[[], T]) -> T:
        """The result of `compute`, which is called with ever smaller windows until it fits.

        Args:
            longest_px: side of the image; a window is not larger.

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
            self._shrink(longest_px)

    def _shrink(self, longest_px: int) -> None:
        side_px = min(self.side_px, longest_px)
        if side_px <= _MIN_SIDE_PX:
            raise InputError(
                f"an image of {longest_px} px must fit into memory in windows of {side_px} px; it does not; "
                "free memory, or cut the image into parts"
            )
        self.side_px = max(_MIN_SIDE_PX, side_px // 2)
        self.blend_on = torch.device("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if not self._was_told:
            self._was_told = True
            logger.warning(
                "memory does not suffice for windows of %d px; going on with smaller ones", side_px
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
