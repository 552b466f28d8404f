"""Where masks go, and what must not be there: images, or files the user did not mean to replace."""

import os
from collections.abc import Mapping, Sequence

from unetpp.core.errors import ExistsError, InputError
from unetpp.core.storage import Storage
from unetpp.data.images.listing import searched_trees
from unetpp.data.sources.registry import stem_of
from unetpp.inference.inputs import ImageSet, InputImage
from unetpp.inference.writers.registry import (
    further_suffixes,
    mask_suffix,
    probabilities_suffix,
)

__all__ = [
    "mask_name",
    "overlay_name",
    "own_outputs",
    "probabilities_name",
    "refuse_existing",
    "refuse_images",
]

_OVERLAY_FOLDER = "overlays"


def mask_name(image: InputImage, wanted: str | None = None) -> str:
    """Path of an image's mask below the output folder, as the `wanted` writer names it."""
    return stem_of(image.name) + (mask_suffix(image.files[0], wanted) or "")


def overlay_name(image: InputImage) -> str:
    """Path of an image's overlay below the output folder."""
    return f"{_OVERLAY_FOLDER}/{stem_of(image.name)}.png"


def probabilities_name(image: InputImage, wanted: str | None = None) -> str:
    """Path of an image's probabilities below the output folder."""
    return f"{stem_of(image.name)}_probabilities{probabilities_suffix(image.files[0], wanted)}"


def own_outputs(
    images: ImageSet, *, overlay: bool = False, probabilities: bool = False, wanted: str | None = None
) -> dict[str, list[str]]:
    """Paths of what is written for each image alone, by the image's name.

    Raises:
        InputError: the wanted writer cannot answer one of the images.
    """
    found = {}
    for image in images.images:
        names = _mask_names(image, wanted)
        if probabilities:
            names.append(probabilities_name(image, wanted))
        if overlay:
            names.append(overlay_name(image))
        found[image.name] = names
    return found


def _mask_names(image: InputImage, wanted: str | None) -> list[str]:
    first, stem = image.files[0], stem_of(image.name)
    own = [suffix] if (suffix := mask_suffix(first, wanted)) else []
    return [stem + ending for ending in (*own, *further_suffixes(first, wanted))]


def refuse_images(target: Storage, images: ImageSet, outputs: Sequence[str]) -> None:
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
    # A mask is renamed into its place: only links among its folders count, a link of its name is replaced.
    written = {f"{_real(target, os.path.dirname(name))}/{os.path.basename(name)}" for name in outputs}
    inside += [path for path, original in originals.items() if original in written and path not in inside]
    if inside:
        raise InputError(
            f"{len(inside)} of the images lie inside --out {target.uri}, first {inside[0]!r}: "
            "masks would replace images or be taken for them; name an --out that holds none"
        )
    trees = searched_trees(images.storage) if images.storage.is_local else {_real(images.storage): ""}
    again = [path for path in written if _is_searched(path, trees, images)]
    if again:
        raise InputError(
            f"--out {target.uri} lies inside the INPUT folder {images.storage.uri}: the next call would take "
            "its masks for images; name an --out outside of it"
        )


def refuse_existing(target: Storage, outputs: Sequence[str]) -> None:
    """Leave what is there.

    Raises:
        ExistsError: an output exists.
    """
    existing = sorted(set(outputs) & set(target.list()))
    if existing:
        raise ExistsError(
            f"{len(existing)} outputs exist in {target.uri}, first {existing[0]!r}; "
            "name another --out, replace them with --overwrite, or go on with a call that did not end "
            "with --resume"
        )


def _is_searched(path: str, trees: Mapping[str, str], images: ImageSet) -> bool:
    """Whether a file at this place would be found as an image, also through a link."""
    return any(
        images.matches(os.path.join(relative, path.removeprefix(f"{place}/")))
        for place, relative in trees.items()
        if path.startswith(f"{place}/")
    )


def _real(storage: Storage, path: str = "") -> str:
    """One name for each file, whatever links lead to it."""
    if storage.is_local:
        return os.path.realpath(storage.local_path(path))
    return f"{storage.uri}/{path}".rstrip("/")
