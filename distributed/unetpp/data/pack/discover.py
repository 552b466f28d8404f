"""Find image and mask files that belong together, in folders or under URIs.

A mask belongs to the image with the same relative path without suffixes: `a/cell1.png` and `a/cell1.tif`, or
`a/cell1_mask.png`. If no path agrees, bare file names decide. Hidden files and linked folders are left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Annotation, Entry, Survey
from unetpp.data.annotations.find import find_annotations
from unetpp.data.annotations.pairing import pair_entries
from unetpp.data.sources.channels import group_channels
from unetpp.data.sources.files import FileRef, UnreadFileError, location, source_storage
from unetpp.data.sources.registry import holds_labels, list_sources, stem_of, suffixes

__all__ = ["Pair", "Rejection", "SourceFolder", "discover", "mask_stem"]

_MASK_ENDING = re.compile(r"[_\-. ](masks?|gt|seg|segmentation|labels?|annotation|manual\d?)$", re.IGNORECASE)
_IMAGE_ENDING = re.compile(r"[_\-. ](images?|img|sat)$", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFolder:
    """Where images and their masks lie; a named split takes all of them."""

    images: str
    masks: str
    split: str | None = None
    class_field: str | None = None
    """Attribute of vector masks that tells the class of each polygon."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask, and the id their sample will have."""

    sample_id: str
    images: tuple[FileRef, ...]
    """The image's files: one, or one for each group of channels, in the order of the channels."""
    mask: FileRef
    split: str | None
    annotation: Annotation | None = None
    """What `mask` says of the image, where it holds drawn objects rather than pixels."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that is not packed, and why; one line of rejected.jsonl."""

    file: str
    reason: str
    unread: FileRef | None = None
    """The file, where its storage did not hand it out; None where its content is at fault."""

    @classmethod
    def of_unread(cls, error: UnreadFileError) -> "Rejection":
        """Of a file that its storage did not hand out."""
        return cls(location(error.ref), error.reason, error.ref)


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


def mask_stem(image_stem: str) -> str:
    """A stem under which a mask belongs to the image of this stem, whatever that ends in."""
    return f"{_IMAGE_ENDING.sub('', image_stem)}_mask"


def _match(folder: SourceFolder) -> tuple[list[Pair], list[Rejection]]:
    image_refs = _list(folder.images, "images")
    images = list(image_refs)
    survey = find_annotations(folder.masks, _mask_images(folder), folder.class_field)
    if survey is not None:
        return _match_annotations(folder, image_refs, survey)
    mask_refs = _list(folder.masks, "masks")
    masks = list(mask_refs)
    if source_storage(folder.images).uri == source_storage(folder.masks).uri:
        masks = [path for path in masks if _MASK_ENDING.search(stem_of(path))]
        if not masks and all(holds_labels(ref) for ref in image_refs.values()):
            return _own_labels(folder, image_refs), []
        images = sorted(set(images) - set(masks))
    for bare in (False, True):
        by_key, clashes = _index(images, _IMAGE_ENDING, bare=bare)
        mask_by_key, mask_clashes = _index(masks, _MASK_ENDING, bare=bare)
        common = by_key.keys() & mask_by_key.keys()
        if common or clashes or mask_clashes:
            break
    prefix = _prefix(folder)
    if not common:
        channel_pairs = _match_channels(folder, images, masks, prefix)
        if channel_pairs:
            used = {ref.path for pair in channel_pairs for ref in (*pair.images, pair.mask)}
            by_key = {key: path for key, path in by_key.items() if path not in used}
            mask_by_key = {key: path for key, path in mask_by_key.items() if path not in used}
            return channel_pairs, [
                *_alone(folder.images, by_key, common, "no mask has this stem"),
                *_alone(folder.masks, mask_by_key, common, "no image has this stem"),
            ]
    pairs = [
        Pair(
            prefix + stem_of(by_key[key]),
            (image_refs[by_key[key]],),
            mask_refs[mask_by_key[key]],
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


def _prefix(folder: SourceFolder) -> str:
    return "" if folder.split is None else f"{folder.split}/"


def _mask_images(folder: SourceFolder) -> list[str]:
    """Images in the folder of masks that may be masks."""
    storage = source_storage(folder.masks)
    paths = [ref.path for ref in list_sources(storage)]
    if source_storage(folder.images).uri == storage.uri:
        return [path for path in paths if _MASK_ENDING.search(stem_of(path))]
    return paths


def _match_annotations(
    folder: SourceFolder, images: dict[str, FileRef], survey: Survey
) -> tuple[list[Pair], list[Rejection]]:
    paired = pair_entries(list(images), survey.entries)
    pairs = [
        Pair(
            _prefix(folder) + stem_of(path),
            (images[path],),
            entry.annotation.file,
            folder.split,
            entry.annotation,
        )
        for path, entry in paired.pairs
    ]
    rejections = [
        *(Rejection(f"{folder.images}/{path}", reason) for path, reason in paired.images_alone),
        *(Rejection(_named(entry), reason) for entry, reason in paired.entries_alone),
        *(Rejection(location(file), reason) for file, reason in survey.refused),
    ]
    return pairs, sorted(rejections, key=lambda rejection: rejection.file)


def _named(entry: Entry) -> str:
    at = location(entry.annotation.file)
    return at if entry.by_stem else f"{at}#{entry.image}"


def _own_labels(folder: SourceFolder, images: dict[str, FileRef]) -> list[Pair]:
    """Images that bring their label images."""
    return [Pair(_prefix(folder) + stem_of(path), (ref,), ref, folder.split) for path, ref in images.items()]


def _match_channels(
    folder: SourceFolder, images: Iterable[str], masks: Iterable[str], prefix: str
) -> list[Pair]:
    """Masks `CASE` of images whose channels lie in `CASE_0000`, `CASE_0001` ..."""
    groups = group_channels(FileRef(folder.images, path) for path in images)
    by_stem = {stem_of(path): FileRef(folder.masks, path) for path in masks}
    return [
        Pair(prefix + stem, files, by_stem[stem], folder.split)
        for stem, files in groups.items()
        if stem in by_stem
    ]


def _list(uri: str, what: str) -> dict[str, FileRef]:
    """Files by their path."""
    storage = source_storage(uri)
    if not storage.exists():
        raise InputError(f"{what} folder {uri} does not exist; correct the path")
    refs = {ref.path: replace(ref, root=uri) for ref in list_sources(storage)}
    if not refs:
        raise InputError(f"{what} folder {uri} holds no file ending in {', '.join(suffixes())}")
    return refs


def _index(paths: Iterable[str], ending: re.Pattern[str], *, bare: bool) -> tuple[dict[str, str], list[str]]:
    """Files by stem; files whose stem is not unique are returned apart."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        stem = ending.sub("", stem_of(path))
        groups.setdefault(PurePosixPath(stem).name if bare else stem, []).append(path)
    unique = {key: files[0] for key, files in groups.items() if len(files) == 1}
    return unique, [path for files in groups.values() if len(files) > 1 for path in files]


def _alone(root: str, files: dict[str, str], common: set[str], reason: str) -> list[Rejection]:
    return [Rejection(f"{root}/{path}", reason) for key, path in files.items() if key not in common]
