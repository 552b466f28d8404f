"""From a configuration to a run that can start: dataset read, `auto` decided, folder claimed."""

import logging

from unetpp.config import AUTO, Decision, Hardware, RunConfig, config_hash, flatten, replace, resolve
from unetpp.core.cache_folder import cache_folder
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.provenance import collect
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage, preflight
from unetpp.data.scorable import require_scorable
from unetpp.data.shard_size import shard_advice
from unetpp.data.store import load_manifest
from unetpp.train.job import TrainJob

__all__ = ["new_run", "resumed_run"]

logger = logging.getLogger(__name__)


def new_run(config: RunConfig, hardware: Hardware) -> tuple[TrainJob, tuple[Decision, ...]]:
    """Decide every `auto`, claim the run folder and write what is known before the first step.

    Raises:
        ConfigError: a value does not fit the dataset.
        InputError: the dataset cannot be trained on, or its validation split cannot be scored.
        StorageError: the dataset or the run folder cannot be used.
        ExistsError: the run folder holds a run.
    """
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    config = _absolute(config)
    dataset = open_storage(config.data.uri)
    preflight(dataset, write=False)
    manifest = load_manifest(dataset)
    if "train" not in manifest.splits or manifest.splits["train"].rows == 0:
        raise InputError(
            f"dataset {config.data.uri} has no rows in split train; pack it with smaller --val and --test"
        )
    if "val" in manifest.splits and manifest.splits["val"].rows:
        require_scorable(dataset, manifest, "val")
    if (advice := shard_advice(manifest, config.data.uri)) is not None:
        logger.warning(advice)
    resolved, decisions = resolve(config, manifest, hardware)
    run = RunDir(resolved.run_uri)
    preflight(run.storage, write=True)
    run.create(
        resolved.model_dump(mode="json"),
        [{"field": d.field, "value": d.value, "reason": d.reason} for d in decisions],
        manifest,
        collect(config_hash=config_hash(resolved)),
    )
    return TrainJob(resolved, manifest, resolved.run_uri), decisions


def resumed_run(config: RunConfig, hardware: Hardware) -> TrainJob:
    """Continue the run at the configured place with its own configuration and dataset version.

    Only `scale` and the cache may differ: batches and their order depend on neither.

    Raises:
        InputError: there is no run.
        ConfigError: the command asks for other values than the run was started with.
    """
    config = _absolute(config)
    run = RunDir(config.run_uri).require()
    stored, manifest = RunConfig.model_validate(run.read_config()), run.read_dataset()
    defaults, asked, kept = flatten(RunConfig()), flatten(config), flatten(stored)
    # The run may have been moved, or be reached by another path, since it was started.
    places = {"out": config.out, "name": config.name}
    wanted = {key: value for key, value in asked.items() if value not in (defaults[key], kept[key])}
    scale = {key: value for key, value in wanted.items() if key.startswith(("scale.", "data.cache_"))}
    changed = [f"{key}={asked[key]} (run: {kept[key]})" for key in wanted if key not in {*scale, *places}]
    if changed:
        raise ConfigError(
            f"--resume continues a run as it was started; remove {', '.join(changed)} "
            "or start a new run with another out="
        )
    if "scale.workers" in scale:
        scale = {"scale.cpus_per_worker": AUTO, "scale.gpus_per_worker": AUTO, **scale}
    resumed, _ = resolve(replace(stored, places | scale), manifest, hardware)
    return TrainJob(resumed, manifest, resumed.run_uri)


def _absolute(config: RunConfig) -> RunConfig:
    """Paths that mean the same in every worker, whatever its working directory."""
    places = {}
    if config.data.uri:
        places["uri"] = open_storage(config.data.uri).uri
    if config.data.cache_dir:
        places["cache_dir"] = str(cache_folder(config.data.cache_dir))
    data = config.data.model_copy(update=places)
    return config.model_copy(update={"data": data, "out": open_storage(config.out).uri})
