"""One worker's batch on the host, and its form as an Arrow row between processes.

Shapes: N samples, H height, W width, C channels.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["HostBatch"]


@dataclass(frozen=True)
class HostBatch:
    """A worker's share of one global batch; arrays may be read-only views of shared memory."""

    split: str
    epoch: int
    step: int
    global_size: int
    """Samples in the global batch, over all workers."""
    images: NDArray[np.generic]
    """uint8, uint16 or float32, (N, H, W, C), raw units."""
    masks: NDArray[np.uint8]
    """(N, H, W); IGNORE where a pixel never counts."""
    weights: NDArray[np.float32]
    """(N,): 0 for a sample repeated only so that every worker takes the step, else 1."""
    positions: NDArray[np.int64]
    """(N,) epoch positions: with the seed they fix every random decision."""
    labels: NDArray[np.int64]
    """(N,) image-level class, -1 where unknown."""
    sample_ids: tuple[str, ...]

    def to_table(self) -> pa.Table:
        """One row; pixels as plain binary so that reading them is a view, never a copy."""
        columns: dict[str, object] = {
            "split": self.split,
            "epoch": self.epoch,
            "step": self.step,
            "global_size": self.global_size,
            "shape": list(self.images.shape),
            "dtype": self.images.dtype.name,
            "weights": self.weights.tolist(),
            "positions": self.positions.tolist(),
            "labels": self.labels.tolist(),
            "sample_ids": list(self.sample_ids),
        }
        table = pa.Table.from_pylist([columns])
        for name, pixels in (("images", self.images), ("masks", self.masks)):
            data = np.ascontiguousarray(pixels)
            offsets = pa.py_buffer(np.array([0, data.nbytes], dtype=np.int64))
            column = pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)]
            )
            table = table.append_column(name, column)
        return table

    @classmethod
    def from_table(cls, table: pa.Table, row: int) -> "HostBatch":
        """View one row of a table made by `to_table`."""
        values = table.drop_columns(["images", "masks"]).slice(row, 1).to_pylist()[0]
        shape, dtype = tuple(values.pop("shape")), np.dtype(values.pop("dtype"))
        images = np.frombuffer(table["images"][row].as_buffer(), dtype=dtype).reshape(shape)
        masks = np.frombuffer(table["masks"][row].as_buffer(), dtype=np.uint8).reshape(shape[:3])
        return cls(
            split=values["split"],
            epoch=values["epoch"],
            step=values["step"],
            global_size=values["global_size"],
            images=images,
            masks=masks,
            weights=np.array(values["weights"], dtype=np.float32),
            positions=np.array(values["positions"], dtype=np.int64),
            labels=np.array(values["labels"], dtype=np.int64),
            sample_ids=tuple(values["sample_ids"]),
        )
