"""Channels in files of their own, as nnU-Net keeps them: `CASE_0000.png`, `CASE_0001.png` are one image."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.files import FileRef, location
from unetpp.data.sources.places import apart_by_voxels
from unetpp.data.sources.raster import Box, Pixels, Raster, Space, Windowed
from unetpp.data.sources.registry import open_image, stem_of

__all__ = ["group_channels", "open_channels"]

_SAME_PLACE = 0.1
"""Voxels."""
_CHANNEL = re.compile(r"(.+)_(\d{4})$")


def group_channels(refs: Iterable[FileRef]) -> dict[str, tuple[FileRef, ...]]:
    """Files by the stem they share without `_0000`, in the order of their numbers.

    A file without such a number is a group of its own.
    """
    groups: dict[str, list[FileRef]] = {}
    for ref in sorted(refs, key=lambda ref: ref.path):
        stem = stem_of(ref.path)
        numbered = _CHANNEL.match(stem)
        groups.setdefault(numbered[1] if numbered else stem, []).append(ref)
    return {stem: tuple(group) for stem, group in groups.items()}


@contextmanager
def open_channels(refs: Sequence[FileRef]) -> Iterator[Raster]:
    """Open the files of one image; their channels follow one another.

    Raises:
        SampleError: sizes, places or dtypes differ, or a file cannot be used.
        UnreadFileError: a file is missing or refused.
    """
    with ExitStack() as stack:
        rasters = [stack.enter_context(open_image(ref)) for ref in refs]
        for ref, raster in zip(refs[1:], rasters[1:], strict=True):
            _require_alike(refs[0], rasters[0], ref, raster)
        if len(rasters) == 1:
            yield rasters[0]
        else:
            yield _stack(rasters)


def _stack(rasters: Sequence[Raster]) -> "_Stack":
    blocks = [raster.block_px for raster in rasters if isinstance(raster, Windowed)]
    return _WindowedStack(rasters, blocks[0]) if len(blocks) == len(rasters) else _Stack(rasters)


@dataclass(frozen=True)
class _Stack:
    rasters: Sequence[Raster]

    @property
    def header(self) -> Header:
        headers = [raster.header for raster in self.rasters]
        return replace(
            headers[0],
            channels=sum(header.channels for header in headers),
            may_lack_data=any(header.may_lack_data for header in headers),
        )

    @property
    def space(self) -> Space:
        return self.rasters[0].space

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(b"".join(raster.digest for raster in self.rasters)).digest()

    def read(self, box: Box | None = None) -> Pixels:
        parts = [raster.read(box) for raster in self.rasters]
        invalid = [~part.valid for part in parts if part.valid is not None]
        valid = ~np.logical_or.reduce(invalid) if invalid else None
        return Pixels(np.concatenate([part.values for part in parts], axis=-1), valid)


@dataclass(frozen=True)
class _WindowedStack(_Stack):
    block_px: tuple[int, int]


def _require_alike(first: FileRef, reference: Raster, ref: FileRef, raster: Raster) -> None:
    expected, found = replace(reference.header, channels=1), replace(raster.header, channels=1)
    if expected != found:
        raise SampleError(
            f"channel files differ in shape and dtype: {location(first)} has {expected}, "
            f"{location(ref)} {found}; resample them to one grid"
        )
    for what, expected_place, place in (
        ("transform", reference.space.transform, raster.space.transform),
        ("reference system", reference.space.crs, raster.space.crs),
    ):
        if expected_place != place:
            raise SampleError(
                f"channel files differ in {what}: {location(first)} has {expected_place}, "
                f"{location(ref)} {place}; warp them to one grid"
            )
    apart = apart_by_voxels(reference, raster)
    if apart > _SAME_PLACE:
        raise SampleError(
            f"channel files lie {apart:.3g} voxels apart (their affines differ): {location(first)} and "
            f"{location(ref)}; resample them to one grid"
        )
