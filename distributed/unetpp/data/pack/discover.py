"""Find image and mask files that belong together, in folders or under URIs.

How their names may agree is said in `pairing`; one rule is chosen for all files of two folders. Hidden files
are left out.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unetpp.core.errors import InputError
from unetpp.core.places import kind_at
from unetpp.data.annotations.annotation import Annotation, Entry, Survey
from unetpp.data.annotations.find import find_annotations
from unetpp.data.annotations.pairing import pair_entries
from unetpp.data.images.pixels import PLAIN, Reading
from unetpp.data.pack.masks.unmasked import image_label
from unetpp.data.pack.pairing.choose import Pairing, pair_paths
from unetpp.data.pack.pairing.pattern import pattern_rule
from unetpp.data.pack.pairing.roles import is_mask
from unetpp.data.sources.files import FileRef, UnreadFileError, location, source_storage
from unetpp.data.sources.registry import holds_labels, list_sources, stem_of, suffixes

__all__ = ["Pair", "Rejection", "SourceFolder", "discover"]

logger = logging.getLogger(__name__)


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
    is_unmasked: bool = False
    """Whether there is no mask, `mask` being the image again; its label is all that is known."""


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


def discover(
    folders: Sequence[SourceFolder],
    pattern: str | None = None,
    reading: Reading = PLAIN,
    *,
    labels: Sequence[str] = (),
) -> tuple[list[Pair], list[Rejection]]:
    """All pairs, ordered by sample id, and the files that have no partner.

    Args:
        folders: where to look.
        pattern: the user's own rule, an expression; see `pairing.pattern`.
        reading: how the files will be understood.
        labels: image-level classes; an image without a mask is kept where a folder in its path is one.

    Raises:
        InputError: a folder is missing or holds no image, splits are named for some folders only, the
            expression is malformed, or names can be paired in two ways.
    """
    named = [folder.split for folder in folders if folder.split is not None]
    if not folders or (len(folders) > 1 and len(named) < len(folders)):
        raise InputError("several image folders each need a split: --images train=DIR --masks train=DIR ...")
    if len(set(named)) < len(named):
        raise InputError(f"splits {', '.join(named)} must be distinct; give one folder for each")
    pairs: list[Pair] = []
    rejections: list[Rejection] = []
    for folder in folders:
        found, unpaired = _match(folder, pattern, reading, labels)
        pairs += found
        rejections += unpaired
    return sorted(pairs, key=lambda pair: pair.sample_id), rejections


def _match(
    folder: SourceFolder, pattern: str | None, reading: Reading, labels: Sequence[str]
) -> tuple[list[Pair], list[Rejection]]:
    image_refs = _list(folder.images, "images", reading)
    survey = find_annotations(folder.masks, _mask_images(folder), folder.class_field)
    if survey is not None:
        return _match_annotations(folder, image_refs, survey)
    mask_refs = _list(folder.masks, "masks", reading)
    images, masks = list(image_refs), list(mask_refs)
    root, mask_root = source_storage(folder.images).uri, source_storage(folder.masks).uri
    if root == mask_root:
        masks = [path for path in masks if is_mask(path)]
        if not masks and all(holds_labels(ref) for ref in image_refs.values()):
            return _own_labels(folder, image_refs), []
        images = sorted(set(images) - set(masks))
    elif mask_root.startswith(f"{root}/"):
        below = mask_root.removeprefix(f"{root}/")
        images = [path for path in images if not path.startswith(f"{below}/")]
    pairing = pair_paths(images, masks, pattern_rule(pattern) if pattern is not None else None)
    _say(folder, pairing)
    prefix = "" if folder.split is None else f"{folder.split}/"
    pairs = [
        Pair(
            prefix + match.sample,
            tuple(image_refs[path] for path in match.images),
            mask_refs[match.mask],
            folder.split,
        )
        for match in pairing.matches
    ]
    roots = {"image": folder.images, "mask": folder.masks}
    weak: list[Pair] = []
    rejections: list[Rejection] = []
    for file in pairing.unpaired:
        sample_id = prefix + stem_of(file.path)
        is_lonely_image = file.kind == "image" and file.is_alone
        if is_lonely_image and image_label(sample_id, labels) is not None:
            ref = image_refs[file.path]
            weak.append(Pair(sample_id, (ref,), ref, folder.split, is_unmasked=True))
        else:
            rejections.append(Rejection(f"{roots[file.kind]}/{file.path}", file.reason))
    if weak:
        logger.info(
            "%d images of %s have no mask and are kept for their label, first %r",
            len(weak), folder.images, weak[0].images[0].path,
        )  # fmt: skip
    pairs, repeated = _without_repeated_ids(pairs + weak)
    return pairs, sorted(repeated + rejections, key=lambda rejection: rejection.file)


def _mask_images(folder: SourceFolder) -> list[str]:
    """Images in the folder of masks that may be masks."""
    storage = source_storage(folder.masks)
    paths = [ref.path for ref in list_sources(storage)]
    if source_storage(folder.images).uri == storage.uri:
        return [path for path in paths if is_mask(path)]
    return paths


def _match_annotations(
    folder: SourceFolder, images: Mapping[str, FileRef], survey: Survey
) -> tuple[list[Pair], list[Rejection]]:
    paired = pair_entries(list(images), survey.entries)
    prefix = "" if folder.split is None else f"{folder.split}/"
    pairs = [
        Pair(prefix + stem_of(path), (images[path],), entry.annotation.file, folder.split, entry.annotation)
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


def _own_labels(folder: SourceFolder, images: Mapping[str, FileRef]) -> list[Pair]:
    """Images that bring their label images."""
    prefix = "" if folder.split is None else f"{folder.split}/"
    return [Pair(prefix + stem_of(path), (ref,), ref, folder.split) for path, ref in images.items()]


def _say(folder: SourceFolder, pairing: Pairing) -> None:
    if not pairing.matches:
        return
    files = max(len(match.images) for match in pairing.matches)
    joined = f"; {files} files are the channels of one image" if files > 1 else ""
    logger.info("pairs in %s and %s have %s%s", folder.images, folder.masks, pairing.said, joined)
    if pairing.unused:
        logger.info(
            "%d files in %s are other forms of masks and are not used, first %r",
            len(pairing.unused), folder.masks, pairing.unused[0],
        )  # fmt: skip


def _without_repeated_ids(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Rejection]]:
    counts = Counter(pair.sample_id for pair in pairs)
    reason = "several images share this stem; rename"
    rejections = [Rejection(location(p.images[0]), reason) for p in pairs if counts[p.sample_id] > 1]
    return [pair for pair in pairs if counts[pair.sample_id] == 1], rejections


def _list(uri: str, what: str, reading: Reading) -> dict[str, FileRef]:
    """Files by their path."""
    storage = source_storage(uri)
    if not storage.exists():
        raise InputError(f"{what} folder {uri} does not exist; correct the path")
    if storage.is_local and storage.local_path().is_file():
        raise InputError(f"--{what} {uri} must be a folder, it is a file; name the folder it lies in")
    refs = {ref.path: replace(ref, root=uri, reading=reading) for ref in list_sources(storage)}
    if not refs:
        found = kind_at(storage)
        instead = f"; it holds a {found}, not the files it was made of" if found else ""
        raise InputError(f"{what} folder {uri} holds no file ending in {', '.join(suffixes())}{instead}")
    return refs
