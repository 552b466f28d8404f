"""Predict many files: one mask PNG per image, errors reported and passed over."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from numpy.typing import NDArray

from unetpp.core.errors import ExistsError, InputError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.decode import read_image
from unetpp.predict.colours import indexed_png
from unetpp.predict.inputs import ImageSet, find_images
from unetpp.predict.overlay import overlay_png
from unetpp.predict.predictor import Predictor

__all__ = ["predict_paths"]

logger = logging.getLogger(__name__)

_OVERLAY_FOLDER = "overlays"
_AHEAD = 4
"""Images read and decoded while earlier ones are predicted; also the number held in memory."""


def predict_paths(
    run_uri: str,
    source: str,
    out: str,
    *,
    level: int | None = None,
    overlay: bool = False,
    overwrite: bool = False,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Segment every image that `source` names; writes `out/<same folder>/<same stem>.png`.

    A mask has the size of its image. Its pixel values are class indices (binary: 0 and 1; multilabel: bit k
    set where label k is present); a palette shows them in the class colours.

    Args:
        overlay: also write `out/overlays/<stem>.png`.
        on_image: called with (images done, images in all) after each one.

    Returns:
        predicted, failed [{file, reason}], out, level, seconds, images_per_s.

    Raises:
        InputError: no image at `source`, one lies inside `out`, two would share a mask file, or none could be
            read.
        ExistsError: an output exists and `overwrite` is off.
    """
    images = find_images(source)
    target = open_storage(out)
    _refuse_inputs_inside(target, images)
    if not overwrite:
        _refuse_existing(target, images, overlay=overlay)
    predictor = Predictor.from_run(run_uri, level=level)
    failed: list[dict[str, str]] = []
    start = time.perf_counter()
    for done, (path, decoded) in enumerate(_decode_ahead(images), start=1):
        try:
            _predict_one(predictor, decoded.result(), path, target, overlay=overlay)
        except InputError as error:
            logger.warning("%s: %s", path, error)
            failed.append({"file": path, "reason": str(error)})
        on_image(done, len(images.paths))
    if len(failed) == len(images.paths):
        first = f"{failed[0]['file']}: {failed[0]['reason']}"
        raise InputError(f"none of {len(failed)} images could be predicted; {first}")
    seconds = time.perf_counter() - start
    predicted = len(images.paths) - len(failed)
    return {
        "predicted": predicted,
        "failed": failed,
        "out": target.uri,
        "level": predictor.level,
        "seconds": seconds,
        "images_per_s": predicted / seconds,
    }


def _decode_ahead(images: ImageSet) -> Iterator[tuple[str, Future[NDArray[Any]]]]:
    """Read and decode in threads, in order, `_AHEAD` images before they are needed."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[str, Future[NDArray[Any]]]] = deque()
        for path in images.paths:
            waiting.append((path, pool.submit(lambda name: read_image(images.storage.read(name)), path)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def _predict_one(
    predictor: Predictor, image: NDArray[Any], path: str, target: Storage, *, overlay: bool
) -> None:
    manifest = predictor.run.manifest
    mask = predictor.predict(image).mask
    name = _mask_name(path)
    target.write(name, indexed_png(mask, manifest))
    if overlay:
        target.write(f"{_OVERLAY_FOLDER}/{name}", overlay_png(image, mask, manifest))


def _mask_name(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(".png"))


def _refuse_inputs_inside(target: Storage, images: ImageSet) -> None:
    inside = [path for path in images.paths if f"{images.storage.uri}/{path}".startswith(f"{target.uri}/")]
    if inside:
        raise InputError(
            f"{len(inside)} of the images lie inside --out {target.uri}, first {inside[0]!r}: "
            "masks would replace images or be taken for them; name an --out that holds none"
        )


def _refuse_existing(target: Storage, images: ImageSet, *, overlay: bool) -> None:
    names = [_mask_name(path) for path in images.paths]
    if overlay:
        names += [f"{_OVERLAY_FOLDER}/{name}" for name in names]
    existing = sorted(set(names) & set(target.list()))
    if existing:
        raise ExistsError(
            f"{len(existing)} outputs exist in {target.uri}, first {existing[0]!r}; "
            f"name another --out or replace them with --overwrite"
        )
