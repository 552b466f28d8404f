"""Which format reads a file. A format is one module beside this one; this table is all that names it.

A module has

    open_image(ref: FileRef) -> AbstractContextManager[Raster]     # the picture or volume
    open_labels(ref: FileRef) -> AbstractContextManager[Raster]    # a mask's stored values

Formats whose libraries are an extra are imported when a file of theirs is opened; without the extra they say
which one to install.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath
from types import ModuleType

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.data.images.listing import list_images
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.medical.dicom_listing import group_dicom, is_dicom, may_be_dicom
from unetpp.data.sources.microscopy.zarr_listing import is_inside, zarr_folders
from unetpp.data.sources.raster import Raster

__all__ = [
    "FORMATS",
    "Format",
    "format_of",
    "format_of_ref",
    "holds_labels",
    "list_sources",
    "missing_library",
    "open_image",
    "open_labels",
    "source_ref",
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


_DICOM = "DICOM"
_OME_ZARR = "OME-Zarr"

FORMATS = (
    Format(
        "picture",
        (".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".pgm", ".png", ".ppm", ".webp"),
        "unetpp.data.sources.picture",
    ),
    Format("TIFF", (".ome.tif", ".ome.tiff", ".tif", ".tiff"), "unetpp.data.sources.geo.choose"),
    Format(_DICOM, (".dcm", ".dicom", ".ima"), "unetpp.data.sources.medical.dicom", extra="medical"),
    Format(_OME_ZARR, (".ome.zarr", ".zarr"), "unetpp.data.sources.microscopy.ome_zarr", extra="microscopy"),
    Format("NIfTI", (".nii", ".nii.gz"), "unetpp.data.sources.medical.nifti", extra="medical"),
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
    if length:
        return path[:-length]
    # A number at the end is no ending: scanners name files by UIDs such as 1.2.840.113.
    suffix = PurePosixPath(path).suffix
    return path if suffix[1:].isdigit() else str(PurePosixPath(path).with_suffix(""))


def format_of_ref(ref: FileRef) -> Format | None:
    """The format of a listed file or folder."""
    named = next((entry for entry in FORMATS if entry.name == ref.format), None)
    return named or format_of(ref.path)


def list_sources(storage: Storage) -> list[FileRef]:
    """The images below a storage at any depth, see `list_images`; a DICOM series or OME-Zarr is one."""
    paths = list_images(storage, ("",))
    zarrs = zarr_folders(storage.list()) if any(".zarr/" in path.lower() for path in paths) else {}
    paths = [path for path in paths if not any(is_inside(path, folder) for folder in zarrs)]
    dicom = [path for path in paths if _is_dicom(storage, path)]
    others = set(dicom)
    refs = [FileRef(storage.uri, path) for path in paths if format_of(path) and path not in others]
    refs += [FileRef(storage.uri, path, members) for path, members in zarrs.items()]
    if dicom:
        refs += _dicom_images(storage, dicom)
    return sorted(refs, key=lambda ref: ref.path)


def source_ref(storage: Storage, path: str) -> FileRef:
    """One file by its path, whose content tells the format where the name does not."""
    return FileRef(storage.uri, path, format=_DICOM if _is_dicom(storage, path) else "")


def _is_dicom(storage: Storage, path: str) -> bool:
    entry = format_of(path)
    if entry is not None:
        return entry.name == _DICOM
    return may_be_dicom(path) and is_dicom(storage, path)


def _dicom_images(storage: Storage, paths: Sequence[str]) -> list[FileRef]:
    try:
        images = group_dicom(storage, paths)
    except ImportError as error:
        raise missing_library(paths[0], next(e for e in FORMATS if e.name == _DICOM), error) from error
    return [FileRef(storage.uri, path, members, format=_DICOM) for path, members in images]


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
    entry = format_of_ref(ref) or FORMATS[0]
    try:
        return import_module(entry.module)
    except ImportError as error:
        raise missing_library(ref.path, entry, error) from error


def missing_library(path: str, entry: Format, error: ImportError) -> InputError:
    """What to say where the library of a file's format is not installed."""
    return InputError(
        f"{path} is {entry.name}, which needs {error.name}: pip install 'unetpp[{entry.extra}]'"
    )
