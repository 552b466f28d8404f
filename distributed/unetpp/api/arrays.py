"""Arrays as the image and mask files that packing reads."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.api.packing import PackRequest, pack_folders
from unetpp.core.errors import InputError
from unetpp.data.pack.pack import PackResult, Progress

__all__ = ["Arrays", "pack_arrays"]

_BY_NAME = r"^(.+)\.npy$"
"""Names are taken as they are: `x_mask` is no mask of `x`."""

Arrays = Iterable[tuple[str, NDArray[Any], NDArray[Any]]]
"""(name, image, mask): image H x W[ x C], mask H x W of class indices or booleans."""


def pack_arrays(
    arrays: Mapping[str | None, Arrays],
    out: str,
    request: PackRequest,
    on_progress: Callable[[Progress], None],
) -> PackResult:
    """Pack the arrays of each split; names are the samples' ids.

    They lie below TMPDIR as NPY files until they are packed, and are taken one at a time, so that of a
    generator never more than one pair is in memory.

    Raises:
        UserError: see `pack_folders`; a name is no plain file name or is there twice, a value is no array, or
            the packing is to run on other machines.
    """
    if request.address is not None:
        raise InputError("address: arrays are packed on this machine; leave it out, or pack files")
    here = replace(request, workers=request.workers or 0, pair=_BY_NAME)
    with tempfile.TemporaryDirectory(prefix="unetpp-arrays-") as folder:
        roots = {split: Path(folder, split or "all") for split in arrays}
        names = {
            path: name
            for split, samples in arrays.items()
            for path, name in _write(roots[split], samples).items()
        }
        images = {split: str(root / "images") for split, root in roots.items()}
        masks = {split: str(root / "masks") for split, root in roots.items()}
        result = pack_folders(images, masks, out, here, on_progress)
    left_out = (replace(entry, file=names.get(entry.file, entry.file)) for entry in result.rejections)
    return replace(result, rejections=tuple(left_out))


def _write(root: Path, samples: Arrays) -> dict[str, str]:
    """What each file is called where it is left out: "mask cell1"."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    names: set[str] = set()
    called: dict[str, str] = {}
    for name, image, mask in samples:
        if not name or "/" in name or name.startswith(".") or "\0" in name:
            raise InputError(f"array name {name!r} must be a plain file name; use letters, digits, - and _")
        if name in names:
            raise InputError(f"two arrays are named {name!r}; give each its own name")
        names.add(name)
        for path, value in ((f"images/{name}.npy", image), (f"masks/{name}.npy", mask)):
            if not isinstance(value, np.ndarray):
                raise InputError(f"{name!r}: {type(value).__name__} is no NumPy array; use numpy.asarray")
            np.save(root / path, value, allow_pickle=False)
            called[str(root / path)] = f"{path.partition('s/')[0]} {name}"
    if not names:
        raise InputError("there is no array to pack; give (name, image, mask) for each sample")
    return called
