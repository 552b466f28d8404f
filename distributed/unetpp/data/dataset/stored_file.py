"""A stored file as a seekable one, for readers that need a part of it."""

import io

from unetpp.core.storage import Storage

__all__ = ["StoredFile"]


class StoredFile(io.RawIOBase):
    """A stored file of which only what is asked for travels."""

    def __init__(self, storage: Storage, name: str, size_bytes: int) -> None:
        super().__init__()
        self._storage, self._name, self._size_bytes = storage, name, size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._size_bytes if size < 0 else min(self._position + size, self._size_bytes)
        data = (
            bytes(self._storage.read_range(self._name, self._position, end)) if end > self._position else b""
        )
        self._position += len(data)
        return data
