"""A run goes on with the weights and the optimiser that another one had after the same epoch.

takeover.json   {"epoch", "donor", "state", "done"}: the last one; the state is the run's own, kept before its
                checkpoint gives way, so that what was cut off is done again and what is done is not
"""

import json
from dataclasses import dataclass
from typing import Any

from unetpp.config.run import RunConfig
from unetpp.core.errors import CheckpointError
from unetpp.core.rundir import RunDir
from unetpp.training.run.saved_state import STATE_FILE

__all__ = ["Takeover", "take_over"]

_FILE = "takeover.json"


@dataclass(frozen=True)
class Takeover:
    """Whose checkpoint a run goes on from."""

    epoch: int
    donor_uri: str
    """Of the run."""


def take_over(config: RunConfig, takeover: Takeover) -> None:
    """Put the donor's checkpoint of the epoch in the place of the run's own, once; keep the configuration.

    Where the run stands stays its own, but for its best epoch: that is to be one of the new weights.

    Args:
        config: with which the run goes on; its run folder is there.
        takeover: what it takes over.

    Raises:
        CheckpointError: the checkpoint of either run is gone or broken.
    """
    run = RunDir(config.run_uri)
    kept = _read(run)
    if kept is None or (kept["epoch"], kept["donor"]) != (takeover.epoch, takeover.donor_uri):
        own = run.checkpoints.load(_step(run, takeover.epoch))
        state = json.loads(own[STATE_FILE])
        state |= {"best_value": None, "best_epoch": None, "validations_since_best": 0}
        kept = {"epoch": takeover.epoch, "donor": takeover.donor_uri, "state": state, "done": False}
        _write(run, kept)
    if kept["done"]:
        return
    donor = RunDir(takeover.donor_uri)
    files = donor.checkpoints.load(_step(donor, takeover.epoch))
    files[STATE_FILE] = json.dumps(kept["state"], indent=1).encode()
    run.change_config(config.model_dump(mode="json"), reopen=False)
    step = int(kept["state"]["global_step"])
    run.checkpoints.rewind(step)
    run.checkpoints.save(step, files)
    _write(run, {**kept, "done": True})


def _step(run: RunDir, epoch: int) -> int:
    """Of the checkpoint after an epoch."""
    for metrics in run.read_metrics():
        if metrics["epoch"] == epoch:
            return int(metrics["step"])
    raise CheckpointError(
        f"{run.uri} must have the metrics of epoch {epoch}, which its sweep has recorded; they are gone; "
        "put the run's files back"
    )


def _read(run: RunDir) -> dict[str, Any] | None:
    if not run.storage.exists(_FILE):
        return None
    kept: dict[str, Any] = json.loads(run.storage.read(_FILE))
    return kept


def _write(run: RunDir, kept: dict[str, Any]) -> None:
    run.storage.write(_FILE, json.dumps(kept, indent=1).encode())
