"""The images that one INPUT argument names: a file, a folder, a glob pattern or a URI of any of them."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from unetpp.core.errors import InputError
from unetpp.core.manifest import ShardInfo
from unetpp.core.storage import Storage, open_storage
from unetpp.data.sources.channels import group_channels
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.registry import format_of, list_sources, source_ref, stem_of, suffixes

__all__ = ["ImageSet", "InputImage", "PackedRow", "find_images", "split_glob"]

_WILDCARDS = frozenset("*?[")
_ANYWHERE = "**"


@dataclass(frozen=True)
class PackedRow:
    """Where a packed dataset holds an image."""

    shard: ShardInfo
    row: int


@dataclass(frozen=True)
class InputImage:
    """One image to predict; its mask's name follows from `name`, a path relative to its storage."""

    name: str
    files: tuple[FileRef, ...]
    """One, or those of its channels in their order; of a packed image no file, but its dataset and name."""
    packed: PackedRow | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images below a storage, sorted by name; no two differ only in their suffix."""

    storage: Storage
    images: tuple[InputImage, ...]
    pattern: str
    """What the paths of their files match."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Of all files, relative to the storage."""
        return tuple(
            path for image in self.images for file in image.files for path in file.members or (file.path,)
        )

    def matches(self, path: str) -> bool:
        """Whether a file at this path of the storage would be one of the images."""
        return _matches(path, self.pattern)


def find_images(source: str, channel_files: int = 1) -> ImageSet:
    """List the images a user named; a folder is searched at any depth, hidden files are left out.

    What exists under the very name is meant by it, also where the name holds characters of patterns.

    Args:
        source: what the user named.
        channel_files: of one image; above 1 `CASE_0000`, `CASE_0001` ... are the image `CASE`.

    Raises:
        InputError: nothing there, or two images would get the same mask file.
    """
    root, pattern = split_glob(source)
    if pattern and open_storage(source).exists():
        root, pattern = source, ""
    if not pattern and _is_file(root):
        root, name = _split_file(root)
        storage, pattern = open_storage(root), glob.escape(name)
        refs = [source_ref(storage, name)]
    elif not pattern and (found := _image_folder(root)):
        storage, ref = found
        refs, pattern = [ref], glob.escape(ref.path)
    else:
        storage, pattern = open_storage(root), pattern or _ANYWHERE
        refs = [ref for ref in list_sources(storage) if _matches(ref.path, pattern)]
    if not refs:
        raise InputError(f"no images at {source}; looked for {' '.join(suffixes())}")
    images = _channel_images(refs) if channel_files > 1 else [_image(storage, ref) for ref in refs]
    _refuse_duplicates([image.name for image in images])
    return ImageSet(storage, tuple(sorted(images, key=lambda image: image.name)), pattern)


def _image(storage: Storage, ref: FileRef) -> InputImage:
    # A folder that is a series itself is known by its own name.
    name = storage.uri.rstrip("/").rpartition("/")[2] if ref.path == "." else ref.path
    return InputImage(name, (ref,))


def _image_folder(source: str) -> tuple[Storage, FileRef] | None:
    """A folder whose name says that it is one image, and the storage of the folder it lies in."""
    if format_of(source.rstrip("/")) is None:
        return None
    root, name = _split_file(source.rstrip("/"))
    storage = open_storage(root)
    members = tuple(f"{name}/{path}" for path in sorted(storage.child(name).list()))
    return (storage, FileRef(storage.uri, name, members)) if members else None


def _channel_images(refs: Sequence[FileRef]) -> list[InputImage]:
    """Named as one file that held all channels would be."""
    groups = group_channels(refs)
    return [InputImage(stem + _ending(files[0].path), files) for stem, files in groups.items()]


def _ending(path: str) -> str:
    return path.removeprefix(stem_of(path))


def split_glob(source: str) -> tuple[str, str]:
    """Cut a path or URI before its first part with a wildcard; the pattern is empty if there is none."""
    parts = source.split("/")
    here = "/" if source.startswith("/") else os.curdir
    for index, part in enumerate(parts):
        if _WILDCARDS & set(part):
            return "/".join(parts[:index]) or here, "/".join(parts[index:])
    return source, ""


def _is_file(source: str) -> bool:
    storage = open_storage(source)
    if storage.is_local:
        return storage.local_path().is_file()
    if format_of(source) is None:
        return False
    root, name = _split_file(source)
    # Some stores list an object as the only one "below" itself.
    return not any(storage.list()) and open_storage(root).exists(name)


def _split_file(source: str) -> tuple[str, str]:
    head, _, name = source.rpartition("/")
    return head or ("/" if source.startswith("/") else os.curdir), name


def _matches(path: str, pattern: str) -> bool:
    """Part by part, so that `*` stays inside a folder; `**` spans any number of them."""
    return _match_parts(path.split("/"), pattern.split("/"))


def _match_parts(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == _ANYWHERE:
        return any(_match_parts(path[skip:], pattern[1:]) for skip in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _match_parts(path[1:], pattern[1:])


def _refuse_duplicates(paths: Sequence[str]) -> None:
    stems = Counter(map(stem_of, paths))
    repeated = sorted(stem for stem, count in stems.items() if count > 1)
    if repeated:
        raise InputError(
            f"{len(repeated)} stems occur more than once, as {repeated[0]!r}, and would share one mask file; "
            f"predict one suffix at a time, for example with '*.png'"
        )
