"""Where masks go, and what must not be there: images, or files the user did not mean to replace."""

import os
from collections.abc import Sequence

from unetpp.core.errors import ExistsError, InputError
from unetpp.core.storage import Storage
from unetpp.data.sources.registry import stem_of
from unetpp.inference.inputs import ImageSet
from unetpp.inference.writers.registry import Writers

__all__ = ["overlay_name", "refuse_existing", "refuse_images"]

_OVERLAY_FOLDER = "overlays"


def overlay_name(image: str) -> str:
    """Path of an image's overlay below the output folder."""
    return f"{_OVERLAY_FOLDER}/{stem_of(image)}.png"


def refuse_images(target: Storage, images: ImageSet, writers: Writers, *, overlay: bool) -> None:
    """Keep masks and images apart, wherever links lead.

    Raises:
        InputError: an image lies inside the output folder, a mask would replace one, or a later call would
            take a mask for an image.
    """
    originals = {path: _real(images.storage, path) for path in images.paths}
    place = _real(target)
    inside = [
        path
        for path, original in originals.items()
        if original.startswith(f"{place}/") or f"{images.storage.uri}/{path}".startswith(f"{target.uri}/")
    ]
    outputs = _outputs(images, writers, overlay=overlay)
    # A mask is renamed into its place: only links among its folders count, a link of its name is replaced.
    written = {f"{_real(target, os.path.dirname(name))}/{os.path.basename(name)}" for name in outputs}
    inside += [path for path, original in originals.items() if original in written and path not in inside]
    if inside:
        raise InputError(
            f"{len(inside)} of the images lie inside --out {target.uri}, first {inside[0]!r}: "
            "masks would replace images or be taken for them; name an --out that holds none"
        )
    root = _real(images.storage)
    again = [
        path for path in written if path.startswith(f"{root}/") and images.matches(path[len(root) + 1 :])
    ]
    if again:
        raise InputError(
            f"--out {target.uri} lies inside the INPUT folder {images.storage.uri}: the next call would take "
            "its masks for images; name an --out outside of it"
        )


def refuse_existing(target: Storage, images: ImageSet, writers: Writers, *, overlay: bool) -> None:
    """Leave what is there.

    Raises:
        ExistsError: an output exists.
    """
    existing = sorted(set(_outputs(images, writers, overlay=overlay)) & set(target.list()))
    if existing:
        raise ExistsError(
            f"{len(existing)} outputs exist in {target.uri}, first {existing[0]!r}; "
            f"name another --out or replace them with --overwrite"
        )


def _outputs(images: ImageSet, writers: Writers, *, overlay: bool) -> Sequence[str]:
    overlays = [overlay_name(path) for path in images.paths] if overlay else []
    return [*(name for path in images.paths for name in writers.names(path)), *writers.together, *overlays]


def _real(storage: Storage, path: str = "") -> str:
    """One name for each file, whatever links lead to it."""
    if storage.is_local:
        return os.path.realpath(storage.local_path(path))
    return f"{storage.uri}/{path}".rstrip("/")
