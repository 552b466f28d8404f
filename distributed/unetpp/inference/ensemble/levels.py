"""The mean over the levels of one network, which the paper calls its accurate mode (Zhou et al. 2018)."""

from torch import Tensor, nn

from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Task
from unetpp.inference.ensemble.average import average_logits
from unetpp.models.inference import multiples_of
from unetpp.models.output import ModelOutput

__all__ = ["MeanOfLevels", "require_levels"]


class MeanOfLevels(nn.Module):
    """A model whose one output is the mean over its supervised levels."""

    def __init__(self, model: nn.Module, task: Task, spatial_dims: int) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.size_multiples = tuple(multiples_of(model, spatial_dims))

    def forward(self, images: Tensor) -> ModelOutput:
        """float32 (N, C, *size), normalised."""
        output: ModelOutput = self.model(images)
        return ModelOutput((average_logits(output.levels, self.task),), output.image)


def require_levels(number: int, place: str) -> None:
    """Refuse what has one level alone.

    Raises:
        ConfigError: there is nothing to average.
    """
    if number < 2:
        raise ConfigError(
            f"averaging levels needs a network with two or more heads; {place} has {number}: train with "
            "model.deep_supervision=true, name a deeper --level, or leave --average-levels out"
        )
