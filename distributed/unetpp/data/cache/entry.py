"""A cache entry on disk: uncompressed Arrow IPC and, behind it, a checksum of every byte before.

Layout: an Arrow IPC file, then 16 bytes: MAGIC and the little-endian crc32 of all bytes before them.
"""

import struct
import zlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import IO

import pyarrow as pa

__all__ = ["TRAILER_BYTES", "is_intact", "map_entry", "parse_entry", "write_entry"]

_TRAILER = struct.Struct("<8sQ")
_MAGIC = b"UNETPPv1"
TRAILER_BYTES = _TRAILER.size


class _Summed:
    """A file for Arrow to write to; large buffers pass through once, summed on their way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.crc32 = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def write_entry(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write or replace the file; the tables, at least one, follow each other in it.

    Not synced to the disk: what a power cut tears fails its checksum and is fetched again.
    """
    with path.open("wb") as file:
        summed = _Summed(file)
        remaining = iter(tables)
        first = next(remaining)
        with pa.PythonFile(summed, "w") as sink, pa.ipc.new_file(sink, first.schema) as writer:
            for table in chain((first,), remaining):
                writer.write_table(table)
        file.write(_TRAILER.pack(_MAGIC, summed.crc32))


def map_entry(path: Path) -> pa.Buffer:
    """The file as mapped memory, which stays valid when the file is unlinked.

    Raises:
        FileNotFoundError: there is none.
    """
    with pa.memory_map(str(path)) as source:
        return source.read_buffer()


def is_intact(mapped: pa.Buffer) -> bool:
    """Whether the bytes are those that were written; reads them all."""
    if mapped.size < TRAILER_BYTES:
        return False
    content = memoryview(mapped)[:-TRAILER_BYTES]
    return bytes(memoryview(mapped)[-TRAILER_BYTES:]) == _TRAILER.pack(_MAGIC, zlib.crc32(content))


def parse_entry(mapped: pa.Buffer) -> pa.Table:
    """The table, whose columns are views of the mapped memory."""
    return pa.ipc.open_file(pa.BufferReader(mapped.slice(0, mapped.size - TRAILER_BYTES))).read_all()
