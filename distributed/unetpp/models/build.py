"""From configuration to network."""

from unetpp.config.sections.base import AUTO
from unetpp.config.sections.model import ModelConfig
from unetpp.core.errors import ConfigError
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["build_model"]


def build_model(config: ModelConfig) -> UNetPlusPlus:
    """Build the network with random weights drawn from torch's global generator.

    Raises:
        ConfigError: a field is still `auto`, or the fields do not fit together.
    """
    fields = config.model_dump()
    undecided = sorted(name for name, value in fields.items() if value == AUTO)
    if undecided:
        raise ConfigError(
            f"model.{undecided[0]}=auto must be decided before the network is built; set a number"
        )
    # Networks that share their weights are one network, set to one vector after the other.
    del fields["shared_dilations"]
    return UNetPlusPlus(**{name: value for name, value in fields.items() if value is not None})
