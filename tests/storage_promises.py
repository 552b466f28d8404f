"""What every storage promises, whatever lies behind it."""

import pytest

from unetpp.core.storage import Storage

RANGES = [(0, 10, b"0123456789"), (3, 7, b"3456"), (8, 20, b"89"), (10, 12, b"")]
"""start, stop and what a file of ten digits has there."""


def check_range(storage: Storage, start: int, stop: int, expected: bytes) -> None:
    """A range ends where the file ends; a file that is not there is named."""
    storage.write("x", b"0123456789")
    assert storage.read_range("x", start, stop) == expected
    with pytest.raises(FileNotFoundError, match="nothing"):
        storage.read_range("nothing", start, stop)
