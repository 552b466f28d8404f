"""What a pretrained encoder takes while it learns: its part of the memory model in `memory.py`."""

from collections.abc import Callable, Iterator

from unetpp.config.encoders import STEM_CHANNELS, MBConv, encoder_rows

__all__ = ["encoder_values", "encoder_weight_count", "largest_input"]

_STEM_KERNEL = 3


def encoder_values(name: str, rows: int, in_channels: int, pixels: Callable[[int], int]) -> int:
    """Numbers kept for the backward pass: the input of every convolution and of every ReLU6.

    ReLU6 in place keeps a copy of its input (torch 2.13), where ReLU needs none.

    Args:
        rows: of the encoder that are used.
        pixels: of an image at stride 2**n.
    """
    count = in_channels * pixels(0) + 2 * STEM_CHANNELS * pixels(1)
    for before, after, block in _blocks(name, rows):
        if block.expansion > 1:
            count += (block.in_channels + 2 * block.inner_channels) * pixels(before)
        count += 2 * block.inner_channels * pixels(after)
    return count


def encoder_weight_count(name: str, rows: int, in_channels: int) -> int:
    """Parameters of the first rows."""
    count = (in_channels * _STEM_KERNEL**2 + 1) * STEM_CHANNELS
    for _, _, block in _blocks(name, rows):
        inner = block.inner_channels
        expansion = (block.in_channels + 1) * inner if block.expansion > 1 else 0
        count += expansion + (block.kernel**2 + 1) * inner + (inner + 1) * block.out_channels
    return count


def largest_input(name: str, rows: int, pixels: Callable[[int], int]) -> int:
    """Numbers in the largest input of a convolution behind the first."""
    return max(block.inner_channels * pixels(before) for before, _, block in _blocks(name, rows))


def _blocks(name: str, rows: int) -> Iterator[tuple[int, int, MBConv]]:
    """Each block with the exponents of its strides: of its input and of its output."""
    for row, blocks in enumerate(encoder_rows(name)[:rows]):
        for block in blocks:
            yield row + (block.stride == 1), row + 1, block
