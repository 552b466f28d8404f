"""What a sweep is and whether it can run, found out without torch and Ray."""

from dataclasses import dataclass

from unetpp.config import Decision, Hardware, RunConfig, replace, resolve
from unetpp.config.planning.placement import candidates, concurrency, require_readers
from unetpp.config.planning.shares import worker_memory_bytes
from unetpp.config.planning.timed.plan import open_fields_decided
from unetpp.core.errors import ExistsError, InputError
from unetpp.core.manifest import Manifest
from unetpp.core.places import SWEEP_CONFIG, require_free_of_others
from unetpp.core.storage import Storage, open_storage, preflight
from unetpp.data.dataset.manifests import lacks_split, load_manifest
from unetpp.data.dataset.mask_facts import plan_facts
from unetpp.data.dataset.scorable import require_scorable
from unetpp.training.run.create import named_encoder, require_sources
from unetpp.tuning.folder import no_sweep, read_dataset, require_no_password
from unetpp.tuning.population.searched import require_loss_alone
from unetpp.tuning.space.shared import search_space
from unetpp.tuning.space.space import SearchSpace, Space, check_space

__all__ = ["SweepSetup", "plan_sweep", "sweep_exists"]


@dataclass(frozen=True)
class SweepSetup:
    """What does not change during a sweep."""

    sweep_uri: str
    base: RunConfig
    space: Space
    manifest: Manifest
    hardware: Hardware
    memory_bytes: int | None
    """Of its device that is one worker's own; None sets no limit."""
    concurrent: int = 1
    """Trials that run at once."""
    planned: tuple[Decision, ...] = ()
    """Fields of the base that a new sweep by minutes decided where its command left them open."""

    @property
    def asked(self) -> SearchSpace:
        """What a trial's values come from."""
        return search_space(self.space, self.base)

    def resolved_base(self) -> RunConfig:
        """The base configuration with every `auto` decided."""
        return resolve(self.base, self.manifest, self.hardware, sweep=True)[0]


def plan_sweep(config: RunConfig, space: Space, hardware: Hardware, *, resume: bool) -> SweepSetup:
    """Check everything that can be checked before the first trial; nothing is written.

    Raises:
        ConfigError: the space or the configuration breaks a rule, or no trial finds a place.
        ExistsError: `resume` is not set and a sweep is there, or another kind of result.
        InputError: `resume` is set and no sweep is there, or the validation split cannot be scored.
        StorageError: the dataset or the folder cannot be used.
    """
    storage = open_storage(config.run_uri)
    data = open_storage(config.data.uri)
    config = named_encoder(config)
    places = {"out": storage.uri, "name": "", "data.uri": data.uri}
    if config.train.init:
        places["train.init"] = open_storage(config.train.init).uri
    config = replace(config, places)
    require_no_password(config)
    check_space(search_space(space, config), config)
    if config.tune.scheduler == "pbt":
        require_loss_alone(search_space(space, config), config)
    preflight(data, write=False)
    preflight(storage, write=True)
    if resume != storage.exists(SWEEP_CONFIG):
        raise no_sweep(storage, "leave --resume out to start one") if resume else sweep_exists(storage)
    if not resume:
        require_free_of_others(storage, "sweep")
        require_sources(config)
    manifest = read_dataset(storage, data) if resume else load_manifest(data)
    planned: tuple[Decision, ...] = ()
    if not resume:
        config, planned = open_fields_decided(config, manifest, plan_facts(config.train, data, manifest))
    decided = _require_space_fits(config, manifest, hardware)
    concurrent = concurrency(decided, hardware)
    if decided.scale.address is not None:
        require_readers(decided, hardware)
    memory_bytes = worker_memory_bytes(decided, candidates(decided.scale, hardware), concurrent)
    return SweepSetup(storage.uri, config, space, manifest, hardware, memory_bytes, concurrent, planned)


def sweep_exists(storage: Storage) -> ExistsError:
    """That a new sweep cannot have this place."""
    return ExistsError(f"a sweep exists at {storage.uri}; use --resume to continue it or another out=")


def _require_space_fits(config: RunConfig, manifest: Manifest, hardware: Hardware) -> RunConfig:
    """The base configuration, which itself must be able to run on this dataset, with every `auto` decided."""
    for split in ("train", "val"):
        if (missing := lacks_split(manifest, split, config.data.uri)) is not None:
            raise InputError(
                f"a sweep trains on train and scores trials on val; {missing}; pack it with both"
            )
    require_scorable(open_storage(config.data.uri), manifest)
    return resolve(config, manifest, hardware, sweep=True)[0]
