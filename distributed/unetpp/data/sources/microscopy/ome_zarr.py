"""OME-Zarr 0.4 and 0.5: a folder that is one image, of which the full resolution is read.

As a mask it is read from its `labels` group where it has one, else from the image itself. Of a remote
folder only the metadata and the arrays that are needed are fetched.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.files import FileRef, local_path, read_file
from unetpp.data.sources.microscopy.axes import (
    UNITS_UM,
    canonical_image,
    canonical_labels,
    header_of,
    space_of,
    standard,
)
from unetpp.data.sources.raster import Box, Pixels, Raster, Space

__all__ = ["open_image", "open_labels"]

_METADATA = {"zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata"}


@contextmanager
def open_image(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    with _opened(ref, "", canonical_image) as raster:
        yield raster


@contextmanager
def open_labels(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    names = _label_names(ref)
    if len(names) > 1:
        raise SampleError(
            f"the image has several label images, {', '.join(names)}; keep one in its labels group"
        )
    with _opened(ref, f"labels/{names[0]}" if names else "", canonical_labels) as raster:
        yield raster


class _Array:
    def __init__(self, array: Any, axes: str, um: Mapping[str, float], digest: Callable[[], bytes],
                 convert: Callable[[NDArray[Any]], NDArray[Any]]) -> None:  # fmt: skip
        self._array, self._axes, self._um = array, axes, um
        self._digest, self._convert = digest, convert

    @cached_property
    def header(self) -> Header:
        return header_of(self._axes, self._array.shape, self._array.dtype)

    @property
    def space(self) -> Space:
        return space_of(self._um, is_volume=self.header.planes is not None)

    @cached_property
    def digest(self) -> bytes:
        return self._digest()

    def read(self, box: Box | None = None) -> Pixels:
        header = self.header
        box = box or Box(0, 0, header.height, header.width)
        window = {"Y": slice(box.top, box.top + box.height), "X": slice(box.left, box.left + box.width)}
        if box.planes is not None:
            window["Z"] = slice(box.front, box.front + box.planes)
        try:
            array = np.asarray(self._array[tuple(window.get(axis, slice(None)) for axis in self._axes)])
        # Codecs raise their own classes; whatever it is, this array cannot be decoded.
        except Exception as error:
            raise SampleError(f"damaged OME-Zarr: {error}") from error
        return Pixels(self._convert(standard(array, self._axes)))


@contextmanager
def _opened(ref: FileRef, group: str, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[_Array]:
    metadata = [path for path in ref.members if PurePosixPath(path).name in _METADATA]
    if not metadata:
        raise SampleError("the folder holds no zarr.json, .zattrs or .zgroup; it is no OME-Zarr")
    with local_path(replace(ref, members=tuple(metadata))) as folder:
        level, axes, um = _multiscale(_attributes(folder, group))
    prefix = "/".join(part for part in (ref.path, group, level) if part)
    chunks = [path for path in ref.members if path.startswith(f"{prefix}/") and path not in set(metadata)]
    wanted = tuple(sorted([*metadata, *chunks]))
    with local_path(replace(ref, members=wanted)) as folder:
        yield _Array(_open_array(folder, group, level, axes), axes, um, lambda: _digest(ref, wanted), convert)


def _label_names(ref: FileRef) -> list[str]:
    below = f"{ref.path}/labels/"
    names = {path.removeprefix(below).split("/")[0] for path in ref.members if path.startswith(below)}
    return sorted(names - _METADATA)


def _attributes(folder: Path, group: str) -> Mapping[str, Any]:
    try:
        found = dict(zarr.open_group(str(folder), path=group or None, mode="r").attrs)
    # Damaged JSON, other versions, missing groups: zarr has a class for each.
    except Exception as error:
        raise SampleError(f"damaged OME-Zarr: {error}") from error
    nested = found.get("ome", found)
    if not isinstance(nested, Mapping):
        raise SampleError("damaged OME-Zarr: its attribute `ome` is no object")
    return nested


def _multiscale(attributes: Mapping[str, Any]) -> tuple[str, str, dict[str, float]]:
    """Path of the full resolution, its axes, and the sizes of its pixels in micrometres."""
    try:
        found = attributes["multiscales"]
        if len(found) != 1:
            raise SampleError(f"the OME-Zarr holds {len(found)} images; save each as one of its own")
        axes = "".join(str(axis["name"]).upper()[:1] for axis in found[0]["axes"])
        level = found[0]["datasets"][0]
        factors = [1.0] * len(axes)
        for holder in (level, found[0]):
            for part in holder.get("coordinateTransformations", ()):
                if part["type"] == "scale":
                    factors = [a * float(b) for a, b in zip(factors, part["scale"], strict=True)]
        um: dict[str, float] = {}
        for name, axis, factor in zip(axes, found[0]["axes"], factors, strict=True):
            unit = UNITS_UM.get(str(axis.get("unit", "")).lower(), math.nan)
            um[name] = factor * unit
        return str(level["path"]).strip("/"), axes, um
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise SampleError(f"the OME-Zarr says no multiscales with axes and datasets: {error}") from error


def _open_array(folder: Path, group: str, level: str, axes: str) -> Any:
    path = f"{group}/{level}" if group else level
    try:
        array = zarr.open_array(str(folder), path=path, mode="r")
    except Exception as error:
        raise SampleError(f"damaged OME-Zarr: {path} cannot be opened: {error}") from error
    if array.ndim != len(axes):
        raise SampleError(f"damaged OME-Zarr: {path} has {array.ndim} axes, its metadata {len(axes)}")
    return array


def _digest(ref: FileRef, paths: tuple[str, ...]) -> bytes:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.removeprefix(ref.path).encode())
        total.update(hashlib.sha256(read_file(FileRef(ref.root, path))).digest())
    return total.digest()
