"""Logits of images that exceed memory: a sliding window over strips of rows, one after another.

Windows, weights and results are those of `predict_logits`; the memory is that of one window's height of rows.
Shapes: C channels, K classes, H height, W width.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from unetpp.models.inference import cover, multiples_of
from unetpp.models.output import ModelOutput

__all__ = ["predict_strips"]


def predict_strips(
    model: nn.Module,
    size: tuple[int, int],
    read: Callable[[int, int], Tensor],
    *,
    window_px: Sequence[int],
    least_px: Sequence[int] | None = None,
    device: torch.device,
) -> Iterator[tuple[int, Tensor]]:
    """Rows of the deepest level's logits, from the first to the last.

    Args:
        model: a `UNetPlusPlus`.
        size: H and W.
        read: float (1, C, rows, W) of the rows from `top` up to `stop`.
        window_px: largest sides of a window.
        least_px: least sides; the largest unless given.
        device: where the model is.

    Yields:
        The first row, and float32 (K, rows, W) on the CPU.
    """
    height, width = size
    covering = cover(size, window_px, least_px or window_px, multiples_of(model, 2))
    window, weights = covering.size_px, covering.weights()
    tops, lefts = covering.starts
    logits = norm = None
    for top, following in zip(tops, [*tops[1:], height], strict=True):
        rows = read(top, top + window[0])
        for start in range(0, len(lefts), covering.at_once):
            places = lefts[start : start + covering.at_once]
            batch = torch.cat([rows[..., left : left + window[1]] for left in places])
            output: ModelOutput = model(batch.to(device))
            found = output.levels[-1].float().cpu()
            if logits is None or norm is None:
                logits, norm = torch.zeros(found.shape[1], window[0], width), torch.zeros(window[0], width)
            for left, part in zip(places, found, strict=True):
                logits[..., left : left + window[1]] += part * weights
                norm[:, left : left + window[1]] += weights
        done = following - top
        assert logits is not None
        assert norm is not None
        yield top, logits[:, :done] / norm[:done]
        logits, norm = _moved_up(logits, done), _moved_up(norm, done)


def _moved_up(rows: Tensor, by: int) -> Tensor:
    moved = torch.zeros_like(rows)
    moved[..., : rows.shape[-2] - by, :] = rows[..., by:, :]
    return moved
