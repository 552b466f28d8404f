"""What every worker of a run is given; without torch, for which whoever starts them has no use."""

from dataclasses import dataclass

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.core.ownership import Claim
from unetpp.data.stream.stream_plan import StreamPlan

__all__ = ["TrainJob", "stream_plan"]

_ENDLESS = 10**9
"""Epochs of a stream that time ends."""


@dataclass(frozen=True)
class TrainJob:
    """What every worker of a run is given; picklable."""

    config: RunConfig
    manifest: Manifest
    run_uri: str
    claim: Claim | None = None
    """Of whoever started the workers: once it was lost they write nothing more."""
    began_at: float | None = None
    """Unix seconds at which the command began, from which `train.minutes` count; None counts from here."""
    used_before_s: float = 0.0
    """Of `train.minutes`, by earlier commands."""


def stream_plan(job: TrainJob) -> StreamPlan:
    """The batches of a run, from its configuration and its dataset."""
    data, timed = job.config.data, job.config.train.minutes > 0
    return StreamPlan(
        uri=data.uri,
        manifest=job.manifest,
        batch_size=int(data.batch_size),
        crop=job.config.patch_px,
        foreground=float(data.foreground),
        epochs=_ENDLESS if timed else job.config.train.epochs,
        validate_every=0 if timed else int(job.config.train.validate_every),
        seed=data.seed,
        window_bytes=data.window_bytes,
        drop_last=data.drop_last,
        reading_tasks=data.workers,
        cache_bytes=int(data.cache_bytes),
        cache_dir=data.cache_dir,
        labels=data.labels,
    )
