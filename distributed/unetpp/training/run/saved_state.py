"""Where a run stands, from its checkpoints; without torch, which only their other files need."""

import json
from collections.abc import Mapping

from unetpp.core.rundir import RunDir
from unetpp.training.loop.state import TrainState

__all__ = ["STATE_FILE", "last_state", "read_state"]

STATE_FILE = "state.json"
"""Of a checkpoint; a `TrainState`."""


def read_state(files: Mapping[str, bytes]) -> TrainState:
    """Where the run stood."""
    return TrainState.from_json(json.loads(files[STATE_FILE]))


def last_state(run: RunDir) -> TrainState:
    """Where the run's newest usable checkpoint stands; the start where there is none."""
    found = run.checkpoints.latest()
    return TrainState() if found is None else read_state(found[1])
