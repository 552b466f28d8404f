"""Which format reads a file. A format is one module beside this one; this table is all that names it.

A module has

    open_image(ref: FileRef) -> AbstractContextManager[Raster]     # the picture or volume
    open_labels(ref: FileRef) -> AbstractContextManager[Raster]    # a mask's stored values

Formats whose libraries are an extra are imported when a file of theirs is opened; without the extra they say
which one to install.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath
from types import ModuleType

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.data.images.listing import list_images
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.microscopy.zarr_listing import is_inside, zarr_folders
from unetpp.data.sources.raster import Raster

__all__ = [
    "FORMATS",
    "Format",
    "format_of",
    "holds_labels",
    "list_sources",
    "open_image",
    "open_labels",
    "stem_of",
    "suffixes",
]


@dataclass(frozen=True)
class Format:
    """A row of the table."""

    name: str
    suffixes: tuple[str, ...]
    """Lower case, the longest of a file's name decides."""
    module: str
    extra: str | None = None
    """Of unetpp, which brings the libraries; None where the base installation has them."""


_OME_ZARR = "ome-zarr"
FORMATS = (
    Format(
        "picture",
        (".bmp", ".jpeg", ".jpg", ".npy", ".png", ".webp"),
        "unetpp.data.sources.picture",
    ),
    Format(_OME_ZARR, (".ome.zarr", ".zarr"), "unetpp.data.sources.microscopy.ome_zarr", extra="microscopy"),
    Format("tiff", (".ome.tif", ".ome.tiff", ".tif", ".tiff"), "unetpp.data.sources.geo.choose"),
    Format("nifti", (".nii", ".nii.gz"), "unetpp.data.sources.medical.nifti", extra="formats"),
)


def suffixes() -> tuple[str, ...]:
    """Endings of the files that are looked for, sorted."""
    return tuple(sorted(suffix for entry in FORMATS for suffix in entry.suffixes))


def format_of(path: str) -> Format | None:
    """The format that a name's ending tells; None for a name of no known one."""
    lower = path.lower()
    endings = [
        (len(suffix), entry) for entry in FORMATS for suffix in entry.suffixes if lower.endswith(suffix)
    ]
    return max(endings, key=lambda ending: ending[0])[1] if endings else None


def stem_of(path: str) -> str:
    """The path without its format's ending: `a/x.nii.gz` is `a/x`."""
    lower = path.lower()
    length = max((len(suffix) for suffix in suffixes() if lower.endswith(suffix)), default=0)
    return path[:-length] if length else str(PurePosixPath(path).with_suffix(""))


def list_sources(storage: Storage) -> list[FileRef]:
    """The images below a storage at any depth, sorted; hidden files and folders are left out.

    A folder of an OME-Zarr is one image. Linked folders are not searched, which is said.
    """
    folders = zarr_folders(storage.list())
    refs = [FileRef(storage.uri, path) for path in list_images(storage, suffixes())]
    outside = [ref for ref in refs if not any(is_inside(ref.path, folder) for folder in folders)]
    images = [FileRef(storage.uri, path, members) for path, members in folders.items()]
    return sorted([*outside, *images], key=lambda ref: ref.path)


def holds_labels(ref: FileRef) -> bool:
    """Whether an image brings label images of its own, which `open_labels` reads."""
    return any(path.startswith(f"{ref.path}/labels/") for path in ref.members)


def open_image(ref: FileRef) -> AbstractContextManager[Raster]:
    """Open an image.

    Raises:
        SampleError: the reason why the file cannot be used.
        UnreadFileError: it is missing or refused.
    """
    raster: AbstractContextManager[Raster] = _module(ref).open_image(ref)
    return raster


def open_labels(ref: FileRef) -> AbstractContextManager[Raster]:
    """Open a mask: palettes stay indices, whole floating-point numbers become integers.

    Raises:
        SampleError: the reason why the file cannot be used.
        UnreadFileError: it is missing or refused.
    """
    raster: AbstractContextManager[Raster] = _module(ref).open_labels(ref)
    return raster


def _module(ref: FileRef) -> ModuleType:
    # A name without a known ending may still hold a picture: its first bytes tell.
    entry = format_of(ref.path) or FORMATS[0]
    try:
        return import_module(entry.module)
    except ImportError as error:
        raise InputError(
            f"{ref.path} is {entry.name}, which needs {error.name}: pip install 'unetpp[{entry.extra}]'"
        ) from error
