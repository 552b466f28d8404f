"""Find image and mask files that belong together, in folders or under URIs.

A mask belongs to the image with the same relative path without suffixes: `a/cell1.png` and `a/cell1.tif`, or
`a/cell1_mask.png`. If no path agrees, bare file names decide. Hidden files and linked folders are left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from unetpp.core.errors import AccessError, InputError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.decode import EXTENSIONS
from unetpp.data.images.listing import list_images

__all__ = [
    "FileRef",
    "Pair",
    "Rejection",
    "SourceFolder",
    "UnreadFileError",
    "discover",
    "location",
    "read_file",
]

_MASK_ENDING = re.compile(r"[_\-. ](masks?|gt|seg|segmentation|labels?|annotation|manual\d?)$", re.IGNORECASE)
_IMAGE_ENDING = re.compile(r"[_\-. ](images?|img|sat)$", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFolder:
    """Where images and their masks lie; a named split takes all of them."""

    images: str
    masks: str
    split: str | None = None


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file: the URI of its folder and the path below it."""

    root: str
    path: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask, and the id their sample will have."""

    sample_id: str
    image: FileRef
    mask: FileRef
    split: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that is not packed, and why; one line of rejected.jsonl."""

    file: str
    reason: str
    unread: FileRef | None = None
    """The file, where its storage did not hand it out; None where its content is at fault."""


class UnreadFileError(Exception):
    """A source file that is missing or refused; whether its storage still works is another question."""

    def __init__(self, ref: FileRef, reason: str) -> None:
        super().__init__(ref, reason)
        self.ref, self.reason = ref, reason

    def rejection(self) -> Rejection:
        """The line for rejected.jsonl."""
        return Rejection(location(self.ref), self.reason, self.ref)


def discover(folders: Sequence[SourceFolder]) -> tuple[list[Pair], list[Rejection]]:
    """All pairs, ordered by sample id, and the files that have no partner.

    Raises:
        InputError: a folder is missing or holds no image, or splits are named for some folders only.
    """
    named = [folder.split for folder in folders if folder.split is not None]
    if not folders or (len(folders) > 1 and len(named) < len(folders)):
        raise InputError("several image folders each need a split: --images train=DIR --masks train=DIR ...")
    if len(set(named)) < len(named):
        raise InputError(f"splits {', '.join(named)} must be distinct; give one folder for each")
    pairs: list[Pair] = []
    rejections: list[Rejection] = []
    for folder in folders:
        found, unpaired = _match(folder)
        pairs += found
        rejections += unpaired
    return sorted(pairs, key=lambda pair: pair.sample_id), rejections


def location(ref: FileRef) -> str:
    """A source file as rejected.jsonl names it."""
    return f"{ref.root.rstrip('/')}/{ref.path}"


def read_file(ref: FileRef, limit_bytes: int | None = None) -> bytes:
    """Encoded bytes of a source file, all or the first ones.

    Raises:
        UnreadFileError: this one file is missing or refused.
        StorageError: its storage cannot be used: credential, endpoint, bucket, disk.
    """
    storage = _open(ref.root)
    try:
        return storage.read(ref.path) if limit_bytes is None else storage.read_range(ref.path, 0, limit_bytes)
    except (AccessError, FileNotFoundError) as error:
        raise UnreadFileError(ref, str(error)) from error


@lru_cache(maxsize=16)
def _open(uri: str) -> Storage:
    return open_storage(uri)


def _match(folder: SourceFolder) -> tuple[list[Pair], list[Rejection]]:
    images, masks = _list(folder.images, "images"), _list(folder.masks, "masks")
    if _open(folder.images).uri == _open(folder.masks).uri:
        masks = [path for path in masks if _MASK_ENDING.search(_without_suffix(path))]
        images = sorted(set(images) - set(masks))
    for bare in (False, True):
        by_key, clashes = _index(images, _IMAGE_ENDING, bare=bare)
        mask_by_key, mask_clashes = _index(masks, _MASK_ENDING, bare=bare)
        common = by_key.keys() & mask_by_key.keys()
        if common or clashes or mask_clashes:
            break
    prefix = "" if folder.split is None else f"{folder.split}/"
    pairs = [
        Pair(
            prefix + _without_suffix(by_key[key]),
            FileRef(folder.images, by_key[key]),
            FileRef(folder.masks, mask_by_key[key]),
            folder.split,
        )
        for key in common
    ]
    rejections = [
        *(Rejection(f"{folder.images}/{p}", "several images share this stem; rename") for p in clashes),
        *(Rejection(f"{folder.masks}/{p}", "several masks share this stem; rename") for p in mask_clashes),
        *_alone(folder.images, by_key, common, "no mask has this stem"),
        *_alone(folder.masks, mask_by_key, common, "no image has this stem"),
    ]
    return pairs, sorted(rejections, key=lambda rejection: rejection.file)


def _list(uri: str, what: str) -> list[str]:
    storage = _open(uri)
    if not storage.exists():
        raise InputError(f"{what} folder {uri} does not exist; correct the path")
    paths = list_images(storage)
    if not paths:
        raise InputError(f"{what} folder {uri} holds no file ending in {', '.join(EXTENSIONS)}")
    return paths


def _index(paths: Iterable[str], ending: re.Pattern[str], *, bare: bool) -> tuple[dict[str, str], list[str]]:
    """Files by stem; files whose stem is not unique are returned apart."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        stem = ending.sub("", _without_suffix(path))
        groups.setdefault(PurePosixPath(stem).name if bare else stem, []).append(path)
    unique = {key: files[0] for key, files in groups.items() if len(files) == 1}
    return unique, [path for files in groups.values() if len(files) > 1 for path in files]


def _alone(root: str, files: dict[str, str], common: set[str], reason: str) -> list[Rejection]:
    return [Rejection(f"{root}/{path}", reason) for key, path in files.items() if key not in common]


def _without_suffix(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))
