"""Rows of a shard's table as numpy views: nothing is copied, and only the rows asked for are touched.

Shapes: H height, W width, C channels; volumes have planes in front of H.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError

__all__ = ["ShardRows"]


class ShardRows:
    """Random access to a shard; pixels stay where the table has them, decoded or memory-mapped.

    Raises:
        CorruptionError: a row's bytes are not those of its shape, or rows differ in dtype or channels.
    """

    def __init__(self, table: pa.Table, name: str) -> None:
        axes = ["depth", "height", "width"] if "depth" in table.column_names else ["height", "width"]
        self.sizes: NDArray[np.int64] = np.stack(
            [table[column].to_numpy().astype(np.int64) for column in axes], axis=1
        )
        """(rows, 2): height and width; (rows, 3) with planes in front for volumes."""
        self.labels: NDArray[np.int64] = (
            table["label"].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        )
        """(rows,): image-level class, -1 where unknown."""
        self.dtype = np.dtype(_only(table["dtype"], name)).newbyteorder("<")
        self.channels = int(_only(table["channels"], name))
        self._ids = table["sample_id"]
        self._images, self._masks = _Bytes(table["image"]), _Bytes(table["mask"])
        pixels = self.sizes.prod(axis=1)
        for column, found, expected in (
            ("image", self._images.lengths, pixels * self.channels * self.dtype.itemsize),
            ("mask", self._masks.lengths, pixels),
        ):
            wrong = np.flatnonzero(found != expected)
            if len(wrong):
                raise CorruptionError(
                    f"{column} of row {wrong[0]} in shard {name} holds {found[wrong[0]]} bytes where its "
                    f"shape needs {expected[wrong[0]]}; pack the dataset again"
                )

    def image(self, row: int) -> NDArray[Any]:
        """(H, W, C) or (Z, H, W, C)."""
        pixels: NDArray[Any] = self._images.view(row).view(self.dtype)
        return pixels.reshape(*self.sizes[row], self.channels)

    def mask(self, row: int) -> NDArray[np.uint8]:
        """(H, W) or (Z, H, W)."""
        return self._masks.view(row).reshape(self.sizes[row])

    def sample_id(self, row: int) -> str:
        return str(self._ids[row])


class _Bytes:
    """The values of a binary column as views of its chunks' buffers."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._data = [_data(chunk) for chunk in chunks]
        offsets = [_offsets(chunk) for chunk in chunks]
        self._starts = np.concatenate([part[:-1] for part in offsets])
        self.lengths = np.concatenate([np.diff(part) for part in offsets])
        self._chunk_of = np.repeat(np.arange(len(chunks)), [len(chunk) for chunk in chunks])

    def view(self, row: int) -> NDArray[np.uint8]:
        start = self._starts[row]
        data: NDArray[np.uint8] = self._data[self._chunk_of[row]]
        return data[start : start + self.lengths[row]]


def _offsets(chunk: pa.Array) -> NDArray[np.int64]:
    every = np.frombuffer(chunk.buffers()[1], dtype=np.int32)
    return every[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)


def _data(chunk: pa.Array) -> NDArray[np.uint8]:
    return np.frombuffer(chunk.buffers()[2], dtype=np.uint8)


def _only(column: pa.ChunkedArray, name: str) -> Any:
    values = column.unique().to_pylist()
    if len(values) != 1:
        raise CorruptionError(
            f"all rows of shard {name} must have one {column.type} value where it has {values}; pack again"
        )
    return values[0]
