"""Which annotation is of which image: by its relative path, else by its bare name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from unetpp.data.annotations.annotation import Entry
from unetpp.data.sources.registry import stem_of

__all__ = ["Paired", "pair_entries"]

T = TypeVar("T")


@dataclass(frozen=True)
class Paired:
    """Images with their annotation, and what is left of both with the reason."""

    pairs: tuple[tuple[str, Entry], ...]
    images_alone: tuple[tuple[str, str], ...]
    entries_alone: tuple[tuple[Entry, str], ...]


def pair_entries(images: Sequence[str], entries: Sequence[Entry]) -> Paired:
    """Match image paths with entries; bare names count for images whose path no entry has.

    A name that several images or several entries have is refused for all of them.
    """
    of_all = [entry for entry in entries if entry.of_all]
    if of_all:
        return Paired(tuple((path, of_all[0]) for path in sorted(images)), (), ())
    left, rest = list(images), list(entries)
    pairs: list[tuple[str, Entry]] = []
    ambiguous: dict[str, str] = {}
    doubled: list[tuple[Entry, str]] = []
    for bare in (False, True):
        by_image = _group((_image_key(path, entries, bare=bare), path) for path in left)
        by_entry = _group((_entry_key(entry, bare=bare), entry) for entry in rest)
        for key in by_image.keys() & by_entry.keys():
            paths, found = by_image[key], by_entry[key]
            if len(paths) == len(found) == 1:
                pairs.append((paths[0], found[0]))
                continue
            reason = f"{len(paths)} images and {len(found)} annotations share the name {key!r}; rename"
            ambiguous |= dict.fromkeys(paths, reason)
            doubled += [(entry, reason) for entry in found]
        settled = {path for path, _ in pairs} | ambiguous.keys()
        used = {id(entry) for entry in (*(entry for _, entry in pairs), *(entry for entry, _ in doubled))}
        left = [path for path in left if path not in settled]
        rest = [entry for entry in rest if id(entry) not in used]
    return Paired(
        tuple(sorted(pairs, key=lambda pair: pair[0])),
        (*ambiguous.items(), *((path, "no annotation is of this image") for path in left)),
        (*doubled, *((entry, "no image has this name") for entry in rest)),
    )


def _group(items: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for key, item in items:
        groups.setdefault(key, []).append(item)
    return groups


def _image_key(path: str, entries: Sequence[Entry], *, bare: bool) -> str:
    by_stem = bool(entries) and entries[0].by_stem
    return _bare(stem_of(path) if by_stem else path, bare=bare)


def _entry_key(entry: Entry, *, bare: bool) -> str:
    path = entry.image.replace("\\", "/").removeprefix("./")
    return _bare(str(PurePosixPath(path).with_suffix("")) if entry.by_stem else path, bare=bare)


def _bare(path: str, *, bare: bool) -> str:
    return PurePosixPath(path).name if bare else path
