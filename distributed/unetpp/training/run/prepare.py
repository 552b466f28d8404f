"""From a configuration to a run that can start: dataset read, `auto` decided, folder claimed."""

import logging

from unetpp.config import Decision, Hardware, RunConfig, config_hash, replace, resolve
from unetpp.config.planning.node_labels import require_labelled_cluster
from unetpp.config.planning.placement import require_places, require_readers
from unetpp.config.planning.timed.plan import planned
from unetpp.config.stored import stored_config
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.local_folders import cache_folder
from unetpp.core.manifest import Manifest
from unetpp.core.ownership import Ownership
from unetpp.core.provenance import collect
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage, preflight
from unetpp.data.dataset.manifests import lacks_split, load_manifest, require_shards
from unetpp.data.dataset.mask_facts import plan_facts
from unetpp.data.dataset.scorable import require_scorable
from unetpp.data.dataset.shard_size import shard_advice
from unetpp.training.run.create import create_run, named_encoder
from unetpp.training.run.job import TrainJob, stream_plan
from unetpp.training.run.resume import applied_changes, explain_changes, last_epoch
from unetpp.training.run.saved_state import last_state

__all__ = ["new_run", "readable_dataset", "resumed_config", "resumed_run"]

logger = logging.getLogger(__name__)


def new_run(
    config: RunConfig,
    hardware: Hardware,
    owner: Ownership | None = None,
    manifest: Manifest | None = None,
) -> tuple[TrainJob, tuple[Decision, ...]]:
    """Decide every `auto`, claim the run folder and write what is known before the first step.

    Args:
        owner: of this process; None where the caller has seen to it that no other works on the run.
        manifest: of the part of the dataset that a fold trains on; None takes the dataset's current version.

    Raises:
        OwnedError: another process works on the run.
        ConfigError: a value does not fit the dataset or the hardware, or the cluster has no room.
        InputError: the dataset cannot be trained on, or its validation split cannot be scored.
        StorageError: the dataset or the run folder cannot be used.
        ExistsError: the run folder holds a run.
    """
    config = _absolute(named_encoder(config))
    dataset = readable_dataset(config)
    manifest = load_manifest(dataset) if manifest is None else manifest
    if (missing := lacks_split(manifest, "train", config.data.uri)) is not None:
        raise InputError(f"{missing}; name one that has, and score this one with evaluate data.uri=")
    if "val" in manifest.splits and manifest.splits["val"].rows:
        require_scorable(dataset, manifest)
    if (advice := shard_advice(manifest, config.data.uri)) is not None:
        logger.warning(advice)
    resolved, decisions = planned(config, manifest, hardware, plan_facts(config.train, dataset, manifest))
    _require_room(resolved, hardware)
    run = RunDir(resolved.run_uri)
    preflight(run.storage, write=True)
    run.require_new()
    claim = None if owner is None else owner.claim(run.storage)
    told = [{"field": d.field, "value": d.value, "reason": d.reason} for d in decisions]
    given = create_run(resolved, told, manifest, collect(config_hash=config_hash(resolved)))
    return TrainJob(resolved, manifest, resolved.run_uri, claim), (*decisions, *given)


def resumed_run(
    config: RunConfig, hardware: Hardware, owner: Ownership | None = None
) -> tuple[TrainJob, tuple[Decision, ...]]:
    """Continue the run at the configured place with its own configuration and dataset version.

    What was given is applied and kept for the next resume, see `resume.py`; the decisions say what changed.

    Args:
        owner: as for a new run.

    Raises:
        OwnedError: another process works on the run.
        InputError: there is no run, or shards of its dataset version are gone.
        ConfigError: the command gives a value that must stay as the run was started.
    """
    asked = resumed_config(config)
    run = RunDir(asked.run_uri)
    stored, manifest = stored_config(run.read_config(), run.uri), run.read_dataset()
    resumed, _ = resolve(asked, manifest, hardware)
    _require_room(resumed, hardware)
    claim = None if owner is None else owner.claim(run.storage)
    state = last_state(run)
    resumed = replace(resumed, {"train.epochs": last_epoch(resumed, state)})
    if state.ended_by(resumed.train) is None:
        fix = "name the place that they were moved to with data.uri=, or start a new run with another out="
        require_shards(open_storage(resumed.data.uri), manifest, ("train", "val"), fix=fix)
    job = TrainJob(resumed, manifest, resumed.run_uri, claim, used_before_s=state.used_s)
    steps = stream_plan(job).train_steps
    decisions = explain_changes(stored, resumed, state, train_steps=steps, asked=asked)
    if resumed != stored:
        ending = ("train.epochs", "train.minutes", "train.patience")
        ends_elsewhere = any(decision.field in ending for decision in decisions)
        reopen = ends_elsewhere and state.ended_by(resumed.train) is None
        run.change_config(resumed.model_dump(mode="json"), reopen=reopen)
    return job, decisions


def resumed_config(config: RunConfig) -> RunConfig:
    """The configuration of the run at the configured place with what the command changes.

    Raises:
        InputError: there is no run.
        ConfigError: the command gives a value that must stay as the run was started.
    """
    given = _absolute(config)
    stored = stored_config(RunDir(given.run_uri).require().read_config(), given.run_uri)
    # The run may have been moved, or be reached by another path, since it was started.
    return replace(stored, {**applied_changes(given, stored), "out": given.out, "name": given.name})


def _require_room(config: RunConfig, hardware: Hardware) -> None:
    """Before the run's folder is claimed: the same command gives the same answer again."""
    require_labelled_cluster(config)
    if config.scale.address is not None:
        require_readers(config, hardware)
        require_places(config, hardware)


def readable_dataset(config: RunConfig) -> Storage:
    """Where the dataset of a configuration lies.

    Raises:
        ConfigError: none is named.
        StorageError: it cannot be read.
    """
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    dataset = open_storage(config.data.uri)
    preflight(dataset, write=False)
    return dataset


def _absolute(config: RunConfig) -> RunConfig:
    """Paths that mean the same in every worker, whatever its working directory."""
    places = {}
    if config.data.uri:
        places["uri"] = open_storage(config.data.uri).uri
    if config.data.cache_dir:
        places["cache_dir"] = str(cache_folder(config.data.cache_dir))
    data = config.data.model_copy(update=places)
    train = config.train
    if train.init:
        train = train.model_copy(update={"init": open_storage(train.init).uri})
    return config.model_copy(update={"data": data, "train": train, "out": open_storage(config.out).uri})
