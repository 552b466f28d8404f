"""What a job kept as `scale.address=auto` means where it is resumed."""

from unetpp.config import RunConfig
from unetpp.launch.connect import finds_cluster

__all__ = ["LOST_CLUSTER", "is_cluster_gone", "resumed_here"]

LOST_CLUSTER = "no Ray cluster is here, as scale.address=auto found one before: going on in this process"


def is_cluster_gone(kept: RunConfig) -> bool:
    """Whether the cluster that was found when the run or sweep started is not there now."""
    return kept.scale.address == "auto" and not finds_cluster()


def resumed_here(config: RunConfig) -> RunConfig:
    """The same as if `scale.address=none` had been given beside what was."""
    return config.model_copy(update={"scale": config.scale.model_copy(update={"address": None})})
