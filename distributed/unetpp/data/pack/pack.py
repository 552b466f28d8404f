"""Pack image and mask files into a dataset: discover, scan, settle, write shards, commit the manifest.

    pairs   = discover(folders)                     # listing only
    scanned = run(scan_pair, pairs)                 # masks and headers, in parallel
    settled, kept = settle(scanned)                 # task, classes, channels, dtype
    shards  = plan_shards(kept)                     # splits and rows, pure
    written = run(write_shard, shards)              # pixels, in parallel; journaled
    commit_manifest(...)                            # from here on the dataset exists

What runs the two parallel passes is an argument; results arrive in order, so the dataset's bytes do not
depend on it. Memory: one shard in each parallel task, about 1 KiB for each pair in the driver.
"""

import logging
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Protocol, TypeVar

import unetpp
from unetpp.core.errors import CorruptionError, ExistsError, InputError, StorageError
from unetpp.core.manifest import MANIFEST_POINTER, SPLITS, Manifest, ShardInfo, SplitInfo
from unetpp.core.places import require_free_of_others
from unetpp.core.provenance import command_line
from unetpp.core.storage import Storage, open_storage, preflight
from unetpp.data.dataset.contents import write_contents
from unetpp.data.dataset.manifests import commit_manifest, load_manifest, next_version
from unetpp.data.dataset.membership import Membership, read_membership, write_membership
from unetpp.data.pack.discover import Pair, Rejection, SourceFolder, discover
from unetpp.data.pack.journal import Journal
from unetpp.data.pack.masks.annotated import annotated_classes, require_overlap
from unetpp.data.pack.masks.describe import describe
from unetpp.data.pack.masks.instances import instance_classes
from unetpp.data.pack.masks.oddities import require_trainable
from unetpp.data.pack.masks.segments import segment_classes
from unetpp.data.pack.masks.understood import Understood
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.rejections import RejectionLimit, Rejections
from unetpp.data.pack.runners import TaskRunner, run_here
from unetpp.data.pack.scan import LabelledPair, ScannedPair, say_notes, scan_pair
from unetpp.data.pack.shard_plan import (
    PlannedShard,
    Settled,
    fingerprint,
    leaks,
    plan_shards,
    settle,
)
from unetpp.data.pack.shard_writer import ShardTask, WrittenShard, write_shard
from unetpp.data.pack.splitting.stability import membership_of, say_splits
from unetpp.data.pack.stats import DatasetStats, PixelStats

__all__ = ["PackListener", "PackResult", "Progress", "pack"]

logger = logging.getLogger(__name__)

Looked = TypeVar("Looked", ScannedPair, LabelledPair)


@dataclass(frozen=True)
class Progress:
    """How far a pass is; `phase` is "scan" or "write", `done` and `total` are source images or rows."""

    phase: str
    done: int
    total: int
    rejected: int


class PackListener(Protocol):
    """Hears of a packing."""

    def progress(self, progress: Progress) -> None:
        """A pass has come further."""
        ...

    def understood(self, understood: Understood) -> None:
        """What the masks and the split are, before anything is written."""
        ...


class _Silent:
    def progress(self, progress: Progress) -> None: ...

    def understood(self, understood: Understood) -> None: ...


@dataclass(frozen=True)
class PackResult:
    """A committed dataset and the files left out of it."""

    manifest: Manifest
    rejections: tuple[Rejection, ...]
    understood: Understood
    shards: tuple[PlannedShard, ...]
    """What was planned to be in it, rows that could not be decoded included."""
    settled: Settled
    options: PackOptions
    """As they were given, with the classes that the masks name."""


@dataclass
class _Run:
    """One packing: where it writes, how, and what it left out so far."""

    storage: Storage
    run: TaskRunner
    listener: PackListener
    rejections: Rejections
    files: int = 0
    """Pairs and files without a partner."""

    def report(self, phase: str, done: int, total: int) -> None:
        self.listener.progress(Progress(phase, done, total, len(self.rejections.files)))


def pack(
    folders: Sequence[SourceFolder],
    out: str,
    options: PackOptions,
    *,
    run: TaskRunner = run_here,
    max_rejected: RejectionLimit | None = None,
    overwrite: bool = False,
    listener: PackListener | None = None,
) -> PackResult:
    """Pack folders into a dataset at `out` and commit it.

    Raises:
        InputError: nothing can be packed, what the masks mean is not clear, no class could be learned from
            them, or more files than `max_rejected` cannot be packed.
        ExistsError: a dataset is there and `overwrite` is not set, another kind of result is, or another
            packer finished first.
        StorageError: a source or `out` cannot be used; finished shards are kept for the next attempt.
    """
    options.check()
    storage = open_storage(out)
    _check_absent(storage, overwrite=overwrite)
    pairs, unpaired = discover(folders, options.pair, options.file_reading, labels=_kept_labels(options))
    masked = [pair for pair in pairs if not pair.is_unmasked]
    classes = annotated_classes(masked, segment_classes(masked, options.classes))
    if options.instances is not None:
        classes = instance_classes(classes, drawn=any(pair.annotation is not None for pair in masked))
    options = replace(options, classes=classes)
    preflight(storage, write=True)
    rejections = Rejections(storage, max_rejected)
    job = _Run(storage, run, listener or _Silent(), rejections, files=len(pairs) + len(unpaired))
    rejections.add(unpaired)
    scanned = _scan(job, pairs, options)
    say_notes(scanned)
    require_overlap((item.pair.annotation, item.mask.values) for item in _with_masks(scanned))
    settled, kept, misfits = settle(scanned, options)
    rejections.add(misfits)
    rejections.require_rows(len(_with_masks(kept)))
    rejections.require_few(job.files)
    previous = _previous_membership(storage) if overwrite else {}
    shards = plan_shards(kept, settled, options, previous)
    say_splits(shards, previous, options)
    _warn_of_leaks(shards)
    understood = _understand(job, scanned, kept, settled, shards)
    job.listener.understood(understood)
    require_trainable(understood)
    digest = fingerprint(kept, shards, settled, options)
    version_id = next_version(storage)
    journal = Journal(storage, digest)
    journal.load()
    tally = _write(job, shards, settled, options, journal)
    rejections.write()
    _require_planned_splits(tally, shards, rejections)
    manifest = _manifest(tally, settled, options, version_id=version_id, digest=digest)
    write_contents(storage, digest, tally.images)
    write_membership(storage, digest, {**previous, **membership_of(shards)})
    commit_manifest(storage, manifest)
    journal.delete()
    return PackResult(manifest, tuple(rejections.files.values()), understood, tuple(shards), settled, options)


def _kept_labels(options: PackOptions) -> tuple[str, ...]:
    """Image-level classes for which images without a mask are packed."""
    return options.classes.image_labels if options.label_only and options.classes else ()


def _check_absent(storage: Storage, *, overwrite: bool) -> None:
    if not overwrite and storage.exists(MANIFEST_POINTER):
        raise ExistsError(
            f"{storage.uri} holds a dataset already; use another --out, or --overwrite for a new version"
        )
    if not storage.exists(MANIFEST_POINTER):
        require_free_of_others(storage, "packed dataset")


def _previous_membership(storage: Storage) -> Membership:
    if not storage.exists(MANIFEST_POINTER):
        return {}
    try:
        return read_membership(storage, load_manifest(storage))
    except (CorruptionError, InputError) as error:
        # To pack again is the way out of a damaged dataset.
        logger.warning("the splits of the version before cannot be read, images are split anew: %s", error)
        return {}


def _scan(job: _Run, pairs: Sequence[Pair], options: PackOptions) -> list[ScannedPair]:
    scanned: list[ScannedPair] = []
    results = job.run(partial(scan_pair, options=options), pairs)
    for done, result in enumerate(results, 1):
        if isinstance(result, Rejection):
            job.rejections.add([result])
        else:
            job.rejections.saw(result.pair)
            scanned.append(result)
        job.report("scan", done, len(pairs))
    job.rejections.require_readable_folders()
    job.rejections.require_rows(len(_with_masks(scanned)))
    return scanned


def _with_masks(items: Iterable[Looked]) -> list[Looked]:
    """Without those of which a label is all that is known."""
    return [item for item in items if not item.pair.is_unmasked]


def _understand(
    job: _Run,
    scanned: Sequence[ScannedPair],
    kept: Sequence[LabelledPair],
    settled: Settled,
    shards: Sequence[PlannedShard],
) -> Understood:
    return describe(
        _with_masks(scanned),
        _with_masks(kept),
        settled.meaning,
        {row.source.pair.sample_id: shard.split for shard in shards for row in shard.rows},
        channels=settled.channels,
        dtype=settled.dtype,
        rejected=len(job.rejections.files),
    )


def _warn_of_leaks(shards: Sequence[PlannedShard]) -> None:
    leaked = leaks(shards)
    if leaked:
        logger.warning(
            "%d samples have the same content as one in another split, such as %s; "
            "remove copies or keep them together with --group",
            len(leaked),
            leaked[0],
        )


class _Tally:
    """What the written shards add up to; shards arrive in order, so sums are reproducible."""

    def __init__(self, settled: Settled) -> None:
        self.shards: dict[str, list[ShardInfo]] = {split: [] for split in SPLITS}
        self.images: dict[str, list[str]] = {split: [] for split in SPLITS}
        empty = PixelStats.empty(settled.channels, settled.dtype, len(settled.labelling.classes))
        self.stats = DatasetStats(empty)

    def add(self, written: WrittenShard) -> None:
        if written.shard.info is not None:
            self.shards[written.shard.split].append(written.shard.info)
        self.images[written.shard.split] += written.shard.images
        self.stats.merge(written.stats)


def _write(
    job: _Run, shards: Sequence[PlannedShard], settled: Settled, options: PackOptions, journal: Journal
) -> _Tally:
    splits = {shard.split for shard in shards}
    measured = {"train"} & splits or splits
    tasks = [
        ShardTask(
            job.storage,
            shard,
            settled,
            options,
            with_pixels=shard.split in measured,
            finished=journal.finished.get((shard.split, shard.index)),
        )
        for shard in shards
    ]
    total, done = sum(len(shard.rows) for shard in shards), 0
    tally = _Tally(settled)
    try:
        for shard, written in zip(shards, job.run(write_shard, tasks), strict=True):
            # Before the journal: a shard that lacks what a failing storage refused is not finished.
            job.rejections.add(written.shard.rejections)
            journal.add(written.shard)
            job.rejections.require_few(job.files)
            tally.add(written)
            done += len(shard.rows)
            job.report("write", done, total)
    except BaseException:
        # What went wrong is what must be seen, also where the journal cannot be written any more.
        with suppress(StorageError):
            journal.flush()
        raise
    journal.flush()
    return tally


def _require_planned_splits(tally: _Tally, shards: Sequence[PlannedShard], rejections: Rejections) -> None:
    for split in {shard.split: None for shard in shards}:
        if not tally.shards[split]:
            raise rejections.refusal(f"no {split} image could be decoded")


def _manifest(
    tally: _Tally, settled: Settled, options: PackOptions, *, version_id: str, digest: str
) -> Manifest:
    splits = {
        split: SplitInfo(rows=sum(shard.rows for shard in shards), shards=tuple(shards))
        for split, shards in tally.shards.items()
        if shards
    }
    pixels = tally.stats.pixels
    return Manifest(
        version=version_id,
        task=settled.labelling.task,
        classes=settled.labelling.classes,
        ignore_index=settled.labelling.ignore_index,
        spatial_dims=settled.spatial_dims,
        voxel_mm=tally.stats.spacing_mm(),
        channels=settled.channels,
        dtype=settled.dtype,
        splits=splits,
        channel_stats=pixels.channel_stats(),
        resized_px=options.size_px,
        slices=options.slices,
        instances=options.instances,
        reading=options.file_reading.settled(),
        channel_files=settled.channel_files,
        spacing_mm=options.spacing_mm,
        window=options.window,
        sizes=dict(sorted(tally.stats.sizes.items())),
        class_pixels=tuple(pixels.class_pixels.tolist()),
        foreground_histogram=tuple(pixels.foreground_histogram.tolist()),
        image_labels=settled.image_labels,
        command=command_line(),
        versions=_versions(),
        fingerprint=digest,
    )


def _versions() -> dict[str, str]:
    names = ("numpy", "pillow", "pyarrow", "tifffile", "imagecodecs")
    libraries = {name: version(name) for name in names}
    return {"unetpp": unetpp.__version__, "python": platform.python_version(), **libraries}
