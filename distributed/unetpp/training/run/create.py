"""A run's folder with all that its first step needs.

Torch comes in inside the functions: who starts from random weights has no use for it.
"""

from dataclasses import asdict
from typing import Any

from unetpp.config import Decision, RunConfig
from unetpp.config.encoders import ENCODERS
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.class_presence import class_presence, repeat_factors

__all__ = ["create_run", "named_encoder", "require_sources"]


def create_run(
    config: RunConfig, decisions: list[dict[str, Any]], manifest: Manifest, provenance: dict[str, Any]
) -> tuple[Decision, ...]:
    """Claim the run's folder and write what is known before the first step, initial weights included.

    Workers take the weights from there: only this process needs the package or the file that they come from.

    Args:
        decisions: as `decisions.json` holds them.

    Returns:
        What `train.init` gave, kept beside the decisions; nothing without it.

    Raises:
        ExistsError: a run is here already.
        ConfigError: nothing of `train.init` fits, or the package that ships an encoder's weights is missing.
        InputError: `train.init` cannot be read.
        CorruptionError: masks cannot be read which `data.repeat_threshold` looks at.
    """
    source = config.train.init
    told, initial = _initial(config, manifest) if source or config.model.encoder != "none" else ("", None)
    given = (Decision("train.init", source, told),) if source else ()
    others = [entry for entry in decisions if entry["field"] != "train.init"]
    RunDir(config.run_uri).create(
        config.model_dump(mode="json"),
        [*others, *map(asdict, given)],
        manifest,
        provenance,
        initial=initial,
        repeats=_repeats(config, manifest),
    )
    return given


def _repeats(config: RunConfig, manifest: Manifest) -> tuple[tuple[float, ...], ...]:
    """Of every train sample, found once: all workers, and a resume, then draw by the same figures."""
    if not config.data.repeat_threshold:
        return ()
    presence = class_presence(open_storage(config.data.uri), manifest)
    return repeat_factors(presence, config.data.repeat_threshold)


def _initial(config: RunConfig, manifest: Manifest) -> tuple[str, bytes | None]:
    """What was taken from `train.init`, and the file of all initial weights."""
    import safetensors.torch

    from unetpp.models.initial import initial_weights

    found = initial_weights(config.model, manifest, config.train.init)
    return found.told, safetensors.torch.save(found.weights) if found.weights else None


def named_encoder(config: RunConfig) -> RunConfig:
    """The configuration with the encoder that `model.encoder=FILE` holds by its name, and the file as source.

    Raises:
        ConfigError: the file holds no encoder that is known, or `train.init` names another source.
        InputError: it cannot be read.
    """
    source = config.model.encoder
    if source in ("none", *ENCODERS):
        return config
    if config.train.init:
        raise ConfigError(
            f"model.encoder={source} is a source of weights, and train.init={config.train.init} another; "
            f"give one of them, and the encoder's name: one of {', '.join(ENCODERS)}"
        )
    from unetpp.models.encoders.identify import identify_encoder
    from unetpp.models.transfer import read_weights

    name = identify_encoder(read_weights(source))
    if name is None:
        raise ConfigError(
            f"model.encoder={source} must hold an encoder, one of {', '.join(ENCODERS)}; it holds another "
            "network; name it in train.init to start from it"
        )
    model = config.model.model_copy(update={"encoder": name})
    return config.model_copy(
        update={"model": model, "train": config.train.model_copy(update={"init": source})}
    )


def require_sources(config: RunConfig) -> None:
    """What the runs of a sweep start with can be read: all of them would fail one by one.

    Raises:
        ConfigError: the package that ships an encoder's weights is missing.
        InputError: `train.init` cannot be read.
    """
    if config.train.init:
        from unetpp.models.transfer import read_weights

        read_weights(config.train.init)
    elif config.model.encoder != "none":
        from unetpp.models.encoders.lite_weights import require_package

        require_package(config.model.encoder)
