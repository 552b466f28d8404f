"""The objects that somebody drew on one image, and the pixels they become."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef

__all__ = ["Annotation", "Entry", "Rendered", "Survey"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a file says of one image."""

    format: str
    """Name in the table of formats."""
    file: FileRef
    content: bytes = b""
    """This image's part of the file, as its format likes it; empty where pixels are drawn from the file."""
    labels: frozenset[str] = frozenset()
    """Names of the classes that occur."""
    declared: tuple[str, ...] = ()
    """Names of all classes of its file or folder, in their order; the same for each of its images."""
    has_ignored: bool = False
    """Whether a region is marked as one that never counts, such as a crowd."""
    by_place: bool = False
    """Whether its objects have places on the Earth, which need not be those of the image."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An annotation and the image it is of: a path as the file names it, or the file's own path."""

    image: str
    annotation: Annotation
    by_stem: bool = False
    """Whether `image` has its annotation file's ending, so that stems are compared."""
    of_all: bool = False
    """Whether it is of every image: its objects have places on the Earth."""


@dataclass(frozen=True)
class Survey:
    """All that annotation files hold."""

    entries: tuple[Entry, ...]
    refused: tuple[tuple[FileRef, str], ...] = ()
    """Files that cannot be used, and why."""

    @classmethod
    def of_files(cls, files: Iterable[FileRef], read: Callable[[FileRef], Entry]) -> "Survey":
        """Of files that each are of one image; those for which `read` raises SampleError are refused."""
        entries: list[Entry] = []
        refused: list[tuple[FileRef, str]] = []
        for file in files:
            try:
                entries.append(read(file))
            except SampleError as error:
                refused.append((file, str(error)))
        return cls(tuple(entries), tuple(refused))

    def of_all_images(self) -> "Survey":
        """The same with each entry of every image."""
        return replace(self, entries=tuple(replace(entry, of_all=True) for entry in self.entries))

    @property
    def labels(self) -> frozenset[str]:
        """Names of the classes that occur anywhere."""
        return frozenset().union(*(entry.annotation.labels for entry in self.entries))

    def declaring(self, classes: tuple[str, ...]) -> "Survey":
        """The same with the order of the classes."""
        entries = [replace(e, annotation=replace(e.annotation, declared=classes)) for e in self.entries]
        return replace(self, entries=tuple(entries))


@dataclass(frozen=True)
class Rendered:
    """Pixels of the objects, H W: 0 where none is, k where the k-th one is seen."""

    objects: NDArray[np.int32]
    labels: tuple[str | None, ...]
    """Class name of objects 1, 2, ...; None where pixels never count."""

    def values(self, value_of: dict[str, int], background: int, ignored: int) -> NDArray[np.uint8]:
        """Mask values, H W; classes that `value_of` lacks are background."""
        table = [
            background,
            *(ignored if label is None else value_of.get(label, background) for label in self.labels),
        ]
        values: NDArray[np.uint8] = np.array(table, dtype=np.uint8)[self.objects]
        return values
