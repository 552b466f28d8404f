"""A file's path as text to compare: one Unicode form, and no suffix of any format."""

import unicodedata
from pathlib import PurePosixPath

from unetpp.data.sources.registry import stem_of, suffixes

__all__ = ["bare", "normal", "stem", "without_formats"]

_INNER = (".ome", ".nii")
"""What stands before the suffix proper: `x.ome.tif`."""


def normal(path: str) -> str:
    """The composed Unicode form: a letter and its accent are one character on some systems, two on others."""
    return unicodedata.normalize("NFC", path)


def stem(path: str) -> str:
    """A path without what its formats add: `a/x` for `a/x.png`, `a/x.ome.tif` and `a/x.jpg.png`."""
    return without_formats(stem_of(normal(path)))


def without_formats(text: str) -> str:
    """Text without the suffixes of formats that end it, of which there may be several."""
    known = (*suffixes(), *_INNER)
    while (suffix := PurePosixPath(text).suffix) and suffix.lower() in known:
        text = text.removesuffix(suffix)
    return text


def bare(path: str) -> str:
    """The name without its folders."""
    return PurePosixPath(path).name
