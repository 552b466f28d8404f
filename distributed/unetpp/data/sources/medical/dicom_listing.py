"""DICOM files below a folder as images: those of a series in a folder are one, whatever their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from unetpp.core.errors import AccessError
from unetpp.core.storage import Storage

__all__ = ["group_dicom", "is_dicom", "may_be_dicom"]

_UNTYPED = re.compile(r"(\.\d+)?", re.IGNORECASE)
"""Endings of what scanners write: none, or the last number of a UID."""
_MAGIC_AT, _MAGIC = 128, b"DICM"
_HEAD_BYTES = 2**16
_LOOKING = 8
"""Headers read at once: a store answers slowly, and a series has hundreds of files."""


@dataclass(frozen=True)
class _Found:
    path: str
    series: str
    is_slice: bool
    """Whether it may be one of the slices of a volume."""


def may_be_dicom(path: str) -> bool:
    """Whether the content has to tell, for lack of an ending."""
    return _UNTYPED.fullmatch(PurePosixPath(path).suffix) is not None


def is_dicom(storage: Storage, path: str) -> bool:
    """Whether the file starts as DICOM does."""
    try:
        return storage.read_range(path, _MAGIC_AT, _MAGIC_AT + len(_MAGIC)) == _MAGIC
    except (AccessError, FileNotFoundError):
        return False


def group_dicom(storage: Storage, paths: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Images as (path, members): a folder with the files of its series, or a file alone.

    A folder with slices of several series is one image as well, which is refused when it is opened.
    """
    folders: dict[str, list[_Found]] = defaultdict(list)
    with ThreadPoolExecutor(_LOOKING) as pool:
        for found in pool.map(partial(_look_at, storage), paths):
            if found is not None:
                folders[str(PurePosixPath(found.path).parent)].append(found)
    images: list[tuple[str, tuple[str, ...]]] = []
    for folder, files in folders.items():
        images += _images(folder, files)
    return images


def _images(folder: str, files: Iterable[_Found]) -> Iterable[tuple[str, tuple[str, ...]]]:
    slices = [found for found in files if found.is_slice]
    if max(Counter(found.series for found in slices).values(), default=0) < 2:
        return [(found.path, ()) for found in files]
    others = [(found.path, ()) for found in files if not found.is_slice]
    return [(folder, tuple(sorted(found.path for found in slices))), *others]


def _look_at(storage: Storage, path: str) -> _Found | None:
    """None where the file holds no image, such as a report; what cannot be read is refused when opened."""
    from unetpp.data.images.header import SampleError
    from unetpp.data.sources.medical.dicom_file import open_dicom, refusing_damage

    try:
        head = storage.read_range(path, 0, _HEAD_BYTES)
        try:
            dicom = open_dicom(head)
        except SampleError:
            dicom = open_dicom(storage.read(path))
        if "Rows" not in dicom and len(head) == _HEAD_BYTES:
            dicom = open_dicom(storage.read(path))
        if "Rows" not in dicom:
            return None
        with refusing_damage():
            return _Found(path, *_role(dicom))
    except (SampleError, AccessError, FileNotFoundError):
        return _Found(path, "", False)


def _role(dicom: Any) -> tuple[str, bool]:
    """Its series, and whether it may be a slice."""
    from unetpp.data.sources.medical.dicom_file import text_of
    from unetpp.data.sources.medical.dicom_frames import frame_count
    from unetpp.data.sources.medical.dicom_series import has_place

    is_slice = has_place(dicom) and frame_count(dicom) == 1 and text_of(dicom, "Modality") != "SEG"
    return text_of(dicom, "SeriesInstanceUID"), is_slice
