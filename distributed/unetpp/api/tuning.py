"""One sweep from a space to its result: plan, claim, connect, run, confirm."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unetpp.api.import_ahead import import_ahead
from unetpp.api.machines import LOST_CLUSTER, hardware_for, is_cluster_gone, resumed_here
from unetpp.api.watchers import SweepWatcher
from unetpp.config import RunConfig, load_config, resolve
from unetpp.config.planning.node_labels import require_labelled_cluster
from unetpp.config.planning.placement import waiting
from unetpp.core.errors import ConfigError
from unetpp.core.ownership import Ownership
from unetpp.core.storage import open_storage
from unetpp.tuning.folder import changes_since, load_started, started_config
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import Space, load_space

__all__ = ["load_sweep_request", "tune_sweep"]

logger = logging.getLogger(__name__)


def load_sweep_request(
    space: str, config_file: Path | None, overrides: Sequence[str], *, resume: bool
) -> tuple[RunConfig, Space]:
    """The configuration and the space of a new sweep, or of one to go on with.

    Args:
        space: a file, or with `resume` also the folder of a sweep.
        config_file: YAML, if any.
        overrides: `section.field=value`.
        resume: go on with the sweep at `out=`, or in the folder.

    Raises:
        UserError: one of them cannot be used.
    """
    own = space.endswith(".py")
    if not resume:
        return load_config(config_file, overrides), load_space(space)
    if own and config_file is not None:
        return started_config(load_config(config_file, overrides)), load_space(space)
    if config_file is not None:
        raise ConfigError(
            f"--resume {space} goes on with the sweep's own configuration; leave {config_file} out, or give "
            "the space's file and out= in place of the folder"
        )
    uri = load_config(None, overrides).run_uri if own else space
    config, loaded = load_started(uri, overrides, Path(space) if own else None)
    if not any(override.startswith("scale.address=") for override in overrides) and is_cluster_gone(config):
        logger.warning(LOST_CLUSTER)
        config = resumed_here(config)
    return config, loaded


def tune_sweep(config: RunConfig, space: Space, watcher: SweepWatcher, *, resume: bool) -> dict[str, Any]:
    """Run a sweep until its budget ends or it is stopped, then confirm its best trials where asked for.

    Returns:
        sweep, finished, causes [(cause, count)] of trials without a result, confirmed if there is one, cost
        {gpu_hours, price} of the trials where a price is given, next_hour (see `NextHour`) once enough trials
        ended, and what `unetpp.tuning.results.leaderboard.sweep_summary` has.

    Raises:
        UserError: something the caller can fix, such as a sweep that another process works on.
    """
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    if config.train.folds:
        raise ConfigError(
            f"train.folds={config.train.folds} is for train, a sweep's trials share one validation split; "
            "leave it out, and cross-validate what the sweep finds"
        )
    require_labelled_cluster(config)
    with Ownership() as owner, hardware_for(config.scale) as hardware:
        setup = plan_sweep(config, space, hardware, resume=resume)
        if resume:
            owner.claim(open_storage(setup.sweep_uri))  # refused before Ray starts
            watcher.note(f"continuing {setup.sweep_uri} on version {setup.manifest.version} of its dataset")
            watcher.decided(changes_since(setup.base), resumed=True)
        base, decisions = resolve(setup.base, setup.manifest, hardware, sweep=True)
        watcher.decided((*setup.planned, *decisions), resumed=False)
        if missing := waiting(base, hardware, setup.concurrent):
            watcher.note(missing)
        workers, cpus = base.max_workers * setup.concurrent, float(base.scale.cpus_per_worker)
        # Ray comes in here and not above, so that mistakes are told at once.
        import_ahead("pandas", "torch")
        from unetpp.launch.connect import connected

        with connected(base.scale.address, workers=workers, cpus_per_worker=cpus):
            from unetpp.api.sweep import conduct_sweep

            return conduct_sweep(setup, owner, watcher, resume=resume)
