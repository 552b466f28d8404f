"""What a space may search whose trials exchange weights: the loss, which may change while a trial trains."""

from collections.abc import Iterator
from typing import Any

from unetpp.config.load import flatten
from unetpp.config.run import RunConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.core.errors import ConfigError
from unetpp.tuning.repeats import planned_digest
from unetpp.tuning.space.apply import apply
from unetpp.tuning.space.space import SearchSpace, random_draws

__all__ = ["peers_digest", "require_loss_alone"]

_LOSS = "loss."
_SEEDS = ("train.seed", "data.seed")
"""A trial keeps its own."""


def require_loss_alone(space: SearchSpace, config: RunConfig) -> None:
    """Draw at random from a space that passed its check, and see what differs.

    Raises:
        ConfigError: something beside the loss and the seeds.
    """
    drawn = [flatten(apply(config, values)) for values in random_draws(space)]
    differing = sorted(set(_differing(drawn)))
    if differing:
        shared = {"model.depth", "model.dilation"} & set(differing) and config.tune.one_shot == "depth"
        hint = ", or tune.one_shot=depth+dilation, which holds depths and dilations in one network"
        raise ConfigError(
            f"{space.path.name}: tune.scheduler=pbt gives a trial the weights of another one, whose network "
            f"and optimiser must be the same: a space may search loss.* alone; this one searches "
            f"{', '.join(differing)}; fix it on the command line, or use tune.scheduler=asha"
            + (hint if shared else "")
        )


def peers_digest(config: RunConfig) -> str:
    """Equal where trials could go on with each other's weights and optimiser.

    Args:
        config: every `auto` decided.
    """
    train, data = (section.model_copy(update={"seed": 0}) for section in (config.train, config.data))
    return planned_digest(config.model_copy(update={"train": train, "data": data, "loss": LossConfig()}))


def _differing(drawn: list[dict[str, Any]]) -> Iterator[str]:
    for key in dict.fromkeys(key for fields in drawn for key in fields):
        if not key.startswith(_LOSS) and key not in _SEEDS and _has_several(drawn, key):
            yield key


def _has_several(drawn: list[dict[str, Any]], key: str) -> bool:
    values: list[Any] = [fields.get(key) for fields in drawn]
    return any(value != values[0] for value in values)
