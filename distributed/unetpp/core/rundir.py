"""The files of one training run, wherever its URI points.

config.yaml        effective configuration, every `auto` decided
decisions.json     what was decided automatically and why
dataset.json       the dataset manifest the run was started with
provenance.json    code, versions and command
owners/            which process works on the run, see core/ownership/ownership.py
metrics.jsonl      one object per epoch
initial.safetensors  weights that the run starts with, where not all are random
takeover.json      whose checkpoint the run went on from, see tuning/population/takeover.py
repeat_factors.json  how often train samples are drawn, with data.repeat_threshold
checkpoints/       see core/checkpoints.py
tensorboard/       event files
trackers.json      ids of this run in MLflow and W&B, which a resume goes on with
result.json        written once, at the end
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from unetpp.core.checkpoints import CheckpointStore
from unetpp.core.errors import ExistsError, InputError
from unetpp.core.manifest import Manifest
from unetpp.core.places import DATASET_COPY, RUN_CONFIG, misplaced, require_free_of_others
from unetpp.core.storage import Storage, open_storage

__all__ = ["RunDir", "epochs_done"]

_DECISIONS = "decisions.json"
_PROVENANCE = "provenance.json"
_METRICS = "metrics.jsonl"
_RESULT = "result.json"
_TRACKERS = "trackers.json"
_INITIAL = "initial.safetensors"
_REPEATS = "repeat_factors.json"


def epochs_done(metrics: Sequence[Mapping[str, Any]]) -> int:
    """The last epoch of which a run's metrics tell; a run that goes by minutes has no line for each."""
    return int(metrics[-1]["epoch"]) if metrics else 0


class RunDir:
    """Typed access to a run's files; picklable, opened from its URI anywhere."""

    def __init__(self, uri: str) -> None:
        self.storage: Storage = open_storage(uri)
        self.uri = self.storage.uri
        self.checkpoints = CheckpointStore(self.storage.child("checkpoints"))

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return self.storage.exists(RUN_CONFIG)

    def require(self) -> "RunDir":
        """Return self.

        Raises:
            InputError: no run was started here.
        """
        if self.exists():
            return self
        missing = misplaced(self.storage, "run") or f"no run at {self.uri}: {RUN_CONFIG} is missing"
        raise InputError(f"{missing}; name the folder `unetpp train` wrote")

    def require_new(self) -> None:
        """Check that nothing was started here.

        Raises:
            ExistsError: a run is here already, or another kind of result.
        """
        if self.exists():
            raise self._exists_error()
        require_free_of_others(self.storage, "run")

    def create(
        self,
        config: dict[str, Any],
        decisions: list[dict[str, Any]],
        manifest: Manifest,
        provenance: dict[str, Any],
        *,
        initial: bytes | None = None,
        repeats: Sequence[Sequence[float]] = (),
    ) -> None:
        """Write what is known before the first step.

        Args:
            initial: weights to start with, a safetensors file; what it lacks starts at random.
            repeats: how often train samples are drawn, by shard and row; empty draws each once an epoch.

        Raises:
            ExistsError: a run is here already.
        """
        self.require_new()
        self._write_json(_DECISIONS, decisions)
        self.storage.write(DATASET_COPY, manifest.model_dump_json(indent=1).encode())
        self._write_json(_PROVENANCE, provenance)
        if initial is not None:
            self.storage.write(_INITIAL, initial)
        if repeats:
            self._write_json(_REPEATS, repeats)
        if not self.storage.write_if_absent(RUN_CONFIG, _to_yaml(config)):
            raise self._exists_error()

    def change_config(self, config: dict[str, Any], *, reopen: bool) -> None:
        """Replace the configuration of a run that goes on; `reopen` takes its result back first."""
        if reopen:
            self.storage.delete(_RESULT)
        self.storage.write(RUN_CONFIG, _to_yaml(config))

    def read_config(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(self.storage.read(RUN_CONFIG))
        return config

    def read_decisions(self) -> list[dict[str, Any]]:
        decisions: list[dict[str, Any]] = json.loads(self.storage.read(_DECISIONS))
        return decisions

    def read_dataset(self) -> Manifest:
        return Manifest.model_validate_json(self.storage.read(DATASET_COPY))

    def read_provenance(self) -> dict[str, Any]:
        provenance: dict[str, Any] = json.loads(self.storage.read(_PROVENANCE))
        return provenance

    def read_initial(self) -> bytes | None:
        """The weights that the run starts with, None where all are random."""
        return self.storage.read(_INITIAL) if self.storage.exists(_INITIAL) else None

    def read_repeats(self) -> tuple[tuple[float, ...], ...]:
        """How often train samples are drawn, by shard and row."""
        return tuple(map(tuple, json.loads(self.storage.read(_REPEATS))))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Finished epochs, oldest first; empty before the first one ends."""
        if not self.storage.exists(_METRICS):
            return []
        return [json.loads(line) for line in self.storage.read(_METRICS).splitlines() if line]

    def write_metrics(self, epochs: list[dict[str, Any]]) -> None:
        """Replace the metrics file; object stores cannot append, and it is small."""
        self.storage.write(_METRICS, "".join(json.dumps(epoch) + "\n" for epoch in epochs).encode())

    def read_result(self) -> dict[str, Any] | None:
        """The final result, or None while the run is unfinished."""
        if not self.storage.exists(_RESULT):
            return None
        result: dict[str, Any] = json.loads(self.storage.read(_RESULT))
        return result

    def write_result(self, result: dict[str, Any]) -> None:
        self._write_json(_RESULT, result)

    def read_trackers(self) -> dict[str, str]:
        """Ids of this run by tracker."""
        if not self.storage.exists(_TRACKERS):
            return {}
        ids: dict[str, str] = json.loads(self.storage.read(_TRACKERS))
        return ids

    def write_trackers(self, ids: dict[str, str]) -> None:
        self._write_json(_TRACKERS, ids)

    def _exists_error(self) -> ExistsError:
        return ExistsError(
            f"a run exists at {self.uri}; use --resume to continue it or another out= for a new one"
        )

    def _write_json(self, name: str, value: Any) -> None:
        self.storage.write(name, json.dumps(value, indent=1).encode())


def _to_yaml(config: dict[str, Any]) -> bytes:
    return yaml.safe_dump(config, sort_keys=False).encode()
