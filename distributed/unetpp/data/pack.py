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

import json
import logging
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import unetpp
from unetpp.core.errors import ExistsError, InputError
from unetpp.core.manifest import MANIFEST_POINTER, Manifest, ShardInfo, SplitInfo
from unetpp.core.provenance import command_line
from unetpp.core.storage import Storage, open_storage, preflight
from unetpp.data.classes import ClassSpec
from unetpp.data.journal import Journal
from unetpp.data.plan import (
    SPLITS,
    PackOptions,
    PlannedShard,
    Settled,
    fingerprint,
    leaks,
    plan_shards,
    settle,
)
from unetpp.data.runners import TaskRunner, run_here
from unetpp.data.scan import ScannedPair, scan_pair
from unetpp.data.sources import Pair, Rejection, SourceFolder, discover
from unetpp.data.stats import DatasetStats, PixelStats
from unetpp.data.store import commit_manifest, next_version
from unetpp.data.write import ShardTask, WrittenShard, write_shard

__all__ = ["REJECTED", "PackResult", "Progress", "pack"]

logger = logging.getLogger(__name__)

REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Progress:
    """How far a pass is; `phase` is "scan" or "write", `done` and `total` are source images or rows."""

    phase: str
    done: int
    total: int
    rejected: int


@dataclass(frozen=True)
class PackResult:
    """A committed dataset and the files left out of it."""

    manifest: Manifest
    rejections: tuple[Rejection, ...]


@dataclass
class _Run:
    """One packing: where it writes, how, and what it left out so far."""

    storage: Storage
    run: TaskRunner
    strict: bool
    on_progress: Callable[[Progress], None]
    rejections: dict[str, Rejection]

    def reject(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            if self.strict:
                raise InputError(f"{rejection.file}: {rejection.reason} (--strict)")
            self.rejections[rejection.file] = rejection

    def report(self, phase: str, done: int, total: int) -> None:
        self.on_progress(Progress(phase, done, total, len(self.rejections)))


def pack(
    folders: Sequence[SourceFolder],
    out: str,
    options: PackOptions,
    *,
    run: TaskRunner = run_here,
    strict: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> PackResult:
    """Pack folders into a dataset at `out` and commit it.

    Raises:
        InputError: nothing can be packed, or with `strict` the first file that cannot.
        ExistsError: a dataset is there and `overwrite` is not set, or another packer finished first.
        StorageError: `out` cannot be written; finished shards are kept for the next attempt.
    """
    options.check()
    storage = open_storage(out)
    _check_absent(storage, overwrite=overwrite)
    pairs, unpaired = discover(folders)
    preflight(storage, write=True)
    job = _Run(storage, run, strict, on_progress, {})
    job.reject(unpaired)
    scanned = _scan(job, pairs, options.classes)
    settled, kept, misfits = settle(scanned, options.classes)
    job.reject(misfits)
    _require_rows(kept, job)
    shards = plan_shards(kept, settled, options)
    _warn_of_leaks(shards)
    digest = fingerprint(kept, shards, options)
    version_id = next_version(storage)
    journal = Journal(storage, digest)
    journal.load()
    tally = _write(job, shards, settled, options, journal)
    _write_rejections(storage, job.rejections.values())
    manifest = _manifest(tally, settled, version_id=version_id, digest=digest, resized_px=options.size_px)
    commit_manifest(storage, manifest)
    journal.delete()
    return PackResult(manifest, tuple(job.rejections.values()))


def _check_absent(storage: Storage, *, overwrite: bool) -> None:
    if not overwrite and storage.exists(MANIFEST_POINTER):
        raise ExistsError(
            f"{storage.uri} holds a dataset already; use another --out, or --overwrite for a new version"
        )


def _scan(job: _Run, pairs: Sequence[Pair], spec: ClassSpec | None) -> list[ScannedPair]:
    scanned: list[ScannedPair] = []
    results = job.run(partial(scan_pair, spec=spec), pairs)
    for done, result in enumerate(results, 1):
        if isinstance(result, Rejection):
            job.reject([result])
        else:
            scanned.append(result)
        job.report("scan", done, len(pairs))
    _require_rows(scanned, job)
    return scanned


def _require_rows(rows: Sequence[Any], job: _Run) -> None:
    if rows:
        return
    _write_rejections(job.storage, job.rejections.values())
    reasons = [f"{rejection.file}: {rejection.reason}" for rejection in job.rejections.values()]
    shown = "; ".join(reasons[:3]) + (" ..." if len(reasons) > 3 else "")
    raise InputError(f"no image and mask pair can be packed, {len(reasons)} files were rejected: {shown}")


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
        empty = PixelStats.empty(settled.channels, settled.dtype, len(settled.labelling.classes))
        self.stats = DatasetStats(empty)

    def add(self, written: WrittenShard) -> None:
        if written.shard.info is not None:
            self.shards[written.shard.split].append(written.shard.info)
        self.stats.merge(written.stats)


def _write(
    job: _Run, shards: Sequence[PlannedShard], settled: Settled, options: PackOptions, journal: Journal
) -> _Tally:
    tasks = [
        ShardTask(job.storage, shard, settled, options, journal.finished.get((shard.split, shard.index)))
        for shard in shards
    ]
    total, done = sum(len(shard.rows) for shard in shards), 0
    tally = _Tally(settled)
    try:
        for shard, written in zip(shards, job.run(write_shard, tasks), strict=True):
            journal.add(written.shard)
            job.reject(written.shard.rejections)
            tally.add(written)
            done += len(shard.rows)
            job.report("write", done, total)
    finally:
        journal.flush()
    return tally


def _manifest(
    tally: _Tally, settled: Settled, *, version_id: str, digest: str, resized_px: int | None
) -> Manifest:
    splits = {
        split: SplitInfo(rows=sum(shard.rows for shard in shards), shards=tuple(shards))
        for split, shards in tally.shards.items()
        if shards
    }
    if "train" not in splits:
        raise InputError("no train image could be decoded; see the reasons in rejected.jsonl")
    pixels = tally.stats.pixels
    return Manifest(
        version=version_id,
        task=settled.labelling.task,
        classes=settled.labelling.classes,
        ignore_index=settled.labelling.ignore_index,
        channels=settled.channels,
        dtype=settled.dtype,
        splits=splits,
        channel_stats=pixels.channel_stats(),
        resized_px=resized_px,
        sizes=dict(sorted(tally.stats.sizes.items())),
        class_pixels=tuple(pixels.class_pixels.tolist()),
        foreground_histogram=tuple(pixels.foreground_histogram.tolist()),
        image_labels=settled.image_labels,
        command=command_line(),
        versions=_versions(),
        fingerprint=digest,
    )


def _write_rejections(storage: Storage, rejections: Iterable[Rejection]) -> None:
    lines = [json.dumps({"file": r.file, "reason": r.reason}, ensure_ascii=False) for r in rejections]
    if lines:
        storage.write(REJECTED, "".join(line + "\n" for line in lines).encode())
    else:
        storage.delete(REJECTED)


def _versions() -> dict[str, str]:
    names = ("numpy", "pillow", "pyarrow", "tifffile", "imagecodecs")
    libraries = {name: version(name) for name in names}
    return {"unetpp": unetpp.__version__, "python": platform.python_version(), **libraries}
