"""Predict many files, each answered in the form it came in; errors are reported and passed over."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from unetpp.core.errors import InputError, StorageError
from unetpp.core.manifest import Manifest
from unetpp.core.places import kind_at, require_free_of_others
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import choose_split, is_dataset, load_manifest
from unetpp.inference.engines.registry import files_of, is_export
from unetpp.inference.ensemble.load import with_folds
from unetpp.inference.inputs import ImageSet, InputImage, find_images, split_glob
from unetpp.inference.many.journal import Journal
from unetpp.inference.many.options import PredictOptions
from unetpp.inference.many.packed import packed_images
from unetpp.inference.many.work import PredictWork
from unetpp.inference.many.worker import Outcome, Worker
from unetpp.inference.outputs import own_outputs, refuse_existing, refuse_images
from unetpp.inference.predictor import Predictor
from unetpp.inference.review.rank import Doubted, require_pictures
from unetpp.inference.review.write import REVIEW_PAGE, write_review
from unetpp.inference.writers.registry import finish, is_together, together, trained_writer

__all__ = ["PredictOptions", "Runner", "predict_paths"]

Runner = Callable[[PredictWork, Sequence[InputImage]], Iterator[Outcome]]
"""Has images predicted, in other processes; gives an outcome for each in whatever order."""

_MAX_STORAGE_FAILURES = 3
"""In a row: the storage itself is at fault, and each further image may wait for its retry deadline."""
_DEFAULT = PredictOptions()


def predict_paths(
    models: str | Sequence[str],
    source: str,
    out: str,
    options: PredictOptions = _DEFAULT,
    *,
    run: Runner | None = None,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Segment every image that `source` names; writes `out/<same folder>/<same stem>` in the image's form.

    That is PNG for pictures, NIfTI for NIfTI, GeoTIFF for images with a place on the Earth. A mask has the
    size of its image. Its values are class indices (binary: 0 and 1; multilabel: bit k set where label k is
    present), which a palette shows in the class colours; 255 where the image holds no data.

    Args:
        models: a run, a cross-validation, or a file that `export` wrote; of several the mean.
        run: by default this process predicts.
        on_image: called with (images done, images in all) after each one.

    Returns:
        split (of a packed dataset), images, predicted, resumed (by calls before), failed [{file, reason}],
        out, level, models (number), seconds, images_per_s.

    Raises:
        InputError: no image at `source`, images and masks would mix, models differ, a review of volumes, no
            image could be predicted, or one could not where that is to be strict.
        StorageError: several images in a row could not be read or their masks not written.
        ExistsError: an output exists and must not be replaced, or another call is to be resumed.
    """
    places = _places(models)
    load = partial(Predictor.of, places, **options.of_model)
    export = load() if is_export(places[0]) else None
    manifest = RunDir(places[0]).require().read_dataset() if export is None else export.manifest
    options = _settled(options, manifest)
    (images, options), target = _images(source, manifest, options), open_storage(out)
    outputs = _Outputs(target, images, options)
    outputs.refuse()
    predictor = export or load()  # after all that can be refused without the weights
    journal = Journal(target, _call(predictor, places, options))
    left = outputs.begin(journal)
    work = PredictWork(places, target.uri, options)
    outcomes = run(work, left) if run else Worker(predictor, target, options)(left)
    start = time.perf_counter()
    failed = _gather(outcomes, journal, len(images.images), len(left), options, on_image)
    seconds = time.perf_counter() - start
    finish(journal.records(image.name for image in images.images), target, manifest, options.format)
    reviewed = _review(images, target, journal, options)
    if not failed:
        journal.end()
    return {
        **_counts(len(images.images), len(left), len(failed), options.split),
        "failed": failed,
        "out": target.uri,
        "models": len(places),
        **_decided(predictor),
        **reviewed,
        "seconds": seconds,
        "images_per_s": (len(left) - len(failed)) / seconds,
    }


def _settled(options: PredictOptions, manifest: Manifest) -> PredictOptions:
    """With the writer chosen; what a model of this data cannot give is refused."""
    if options.review is not None:
        require_pictures(manifest)
    return replace(options, format=trained_writer(options.format, manifest))


def _images(source: str, manifest: Manifest, options: PredictOptions) -> tuple[ImageSet, PredictOptions]:
    """What is named, and of a packed dataset the split that is meant.

    Raises:
        InputError: there is nothing, the dataset has no such split, or a split is named of files.
    """
    storage = None if split_glob(source)[1] else open_storage(source)
    if storage is not None and is_dataset(storage):
        split = choose_split(load_manifest(storage), options.split)
        return packed_images(storage, split, manifest), replace(options, split=split)
    if storage is not None and (kind := kind_at(storage)) is not None:
        raise InputError(f"INPUT {source} holds a {kind}, not images; name their folder, file or pattern")
    if options.split is not None:
        raise InputError(
            f"--split {options.split} chooses in a packed dataset, which {source} is not; leave it out"
        )
    return find_images(source, manifest.channel_files), options


def _counts(total: int, left: int, failed: int, split: str | None) -> dict[str, Any]:
    meant = {} if split is None else {"split": split}
    return {**meant, "images": total, "predicted": left - failed, "resumed": total - left}


def _review(images: ImageSet, target: Storage, journal: Journal, options: PredictOptions) -> dict[str, str]:
    """`review`, the page of the images that the network is least certain of, where asked for."""
    if options.review is None:
        return {}
    judged = (Doubted.from_json(name, values) for name, values in journal.reviews().items() if values)
    write_review(images.images, judged, target, options.review)
    return {"review": f"{target.uri.rstrip('/')}/{REVIEW_PAGE}"}


class _Outputs:
    """The files of a call."""

    def __init__(self, target: Storage, images: ImageSet, options: PredictOptions) -> None:
        asked = {"overlay": options.overlay, "probabilities": options.probabilities}
        self._own = own_outputs(images, **asked, wanted=options.format)
        page = [REVIEW_PAGE] if options.review is not None else []
        self._names = [*together(options.format), *chain.from_iterable(self._own.values()), *page]
        self._target, self._images, self._options = target, images, options

    def refuse(self) -> None:
        """Keep masks apart from images and, unless a call may be gone on with, from what is there.

        Raises:
            InputError: images and masks would get mixed up.
            ExistsError: an output exists, or a dataset, a run or a sweep.
        """
        refuse_images(self._target, self._images, self._names)
        require_free_of_others(self._target, "masks")
        if not self._options.resume:
            self._refuse_existing()

    def begin(self, journal: Journal) -> list[InputImage]:
        """The images that are left to predict: all, unless a call is gone on with.

        Raises:
            ExistsError: an output exists and is of no call that can be gone on with.
        """
        images = self._images.images
        if self._options.resume:
            if journal.load():
                needs = {
                    "needs_records": is_together(self._options.format),
                    "needs_reviews": self._options.review is not None,
                }
                done = journal.done(self._own, **needs)
                return [image for image in images if image.name not in done]
            self._refuse_existing()
        journal.begin()
        return list(images)

    def _refuse_existing(self) -> None:
        if not self._options.overwrite:
            refuse_existing(self._target, self._names)


def _gather(
    outcomes: Iterator[Outcome],
    journal: Journal,
    total: int,
    left: int,
    options: PredictOptions,
    on_image: Callable[[int, int], None],
) -> list[dict[str, str]]:
    """Note what comes; returns what failed, by name.

    Raises:
        InputError: an image failed where that is to be strict, or all did.
        StorageError: several in a row failed by their storage.
    """
    failed: list[dict[str, str]] = []
    storage_failures = 0
    for number, outcome in enumerate(outcomes, start=total - left + 1):
        if outcome.reason is None:
            # An image that is read by parts is not judged, which is to be known, too.
            doubted = outcome.doubted.to_json() if outcome.doubted else {}
            journal.add(outcome.name, outcome.record, doubted if options.review else None)
            storage_failures = 0
        else:
            said = f"{outcome.name}: {outcome.reason}"
            if options.strict:
                raise InputError(f"{said}; --strict stops at the first failure")
            failed.append({"file": outcome.name, "reason": outcome.reason})
            storage_failures = storage_failures + 1 if outcome.is_storage else 0
            if storage_failures == _MAX_STORAGE_FAILURES:
                raise StorageError(
                    f"stopped at image {number} of {total}, {said}; the {storage_failures - 1} before "
                    "failed, too; mend it, then go on with --resume"
                )
        on_image(number, total)
    journal.flush()
    if len(failed) == total:
        first = f"{failed[0]['file']}: {failed[0]['reason']}"
        raise InputError(f"none of {total} images could be predicted; {first}")
    return sorted(failed, key=lambda entry: entry["file"])


def _call(predictor: Predictor, places: Sequence[str], options: PredictOptions) -> dict[str, Any]:
    """What decides the bytes of the masks."""
    asked = asdict(options)
    deciding = ("format", "probabilities", "overlay", "overwrite", "tta", "average_levels", "review")
    return {
        "step": predictor.step,
        **_decided(predictor),
        "weights": [_weights_digest(place) for place in places],
        **{key: asked[key] for key in deciding},
    }


def _places(models: str | Sequence[str]) -> tuple[str, ...]:
    """The models, and the folds of a cross-validation; images among them, as a shell's unquoted glob puts
    them there, are refused.

    Raises:
        InputError: a place is neither a run nor an exported file.
    """
    places = tuple(with_folds([models] if isinstance(models, str) else models))
    for place in places[1:]:
        if not is_export(place) and not RunDir(place).exists():
            raise InputError(
                f"all places but the last are models, {place} is neither a run nor an exported file; to "
                "predict several images name their folder, or quote the pattern: 'images/*.png'"
            )
    return places


def _decided(predictor: Predictor) -> dict[str, Any]:
    """The head, the network that was chosen among those that share weights, and how its logits are read."""
    decision = predictor.decision
    thresholds = list(decision.thresholds)
    how = {"thresholds": thresholds, "min_object_px": decision.min_object_px}
    return {"level": predictor.level, **predictor.chosen, **how}


def _weights_digest(place: str) -> str:
    """Of an exported file, or of what a run's best checkpoint holds."""
    digest = hashlib.sha256()
    if is_export(place):
        for file in files_of(Path(place)):
            digest.update(file.read_bytes())
        return digest.hexdigest()
    found = RunDir(place).checkpoints.best()
    for name, data in sorted(found[1].items()) if found else ():
        digest.update(name.encode() + data)
    return digest.hexdigest()
