"""What Ray is asked before a training starts, where a cluster is named; elsewhere it is not imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from unetpp.config import Hardware, RunConfig
from unetpp.config.planning.hardware import detect_hardware
from unetpp.config.sections.train import ScaleConfig
from unetpp.launch.cpu_speed import ask_cpu_speed

__all__ = ["LOST_CLUSTER", "hardware_for", "is_cluster_gone", "resumed_here"]

LOST_CLUSTER = "no Ray cluster is here, as scale.address=auto found one before: going on in this process"


@contextmanager
def hardware_for(scale: ScaleConfig) -> Iterator[Hardware]:
    """The machines that a run may use: this one, or those of a cluster, connected inside the block.

    Raises:
        UserError: no cluster answers at the address, or there is no token for it.
    """
    if scale.address is None:
        yield _this_machine(scale)
        return
    from unetpp.launch.cluster_hardware import cluster_hardware
    from unetpp.launch.connect import connected

    with connected(scale.address):
        yield cluster_hardware(scale)


def _this_machine(scale: ScaleConfig) -> Hardware:
    hardware = detect_hardware()
    if hardware.gpus and scale.gpu is not False:
        return hardware
    return replace(hardware, nodes=tuple(replace(n, cpu_speed=ask_cpu_speed()) for n in hardware.nodes))


def is_cluster_gone(kept: RunConfig) -> bool:
    """Whether the cluster that a job found as `scale.address=auto` is not there now."""
    if kept.scale.address != "auto":
        return False
    from unetpp.launch.connect import finds_cluster

    return not finds_cluster()


def resumed_here(config: RunConfig) -> RunConfig:
    """The same as if `scale.address=none` had been given beside what was."""
    return config.model_copy(update={"scale": config.scale.model_copy(update={"address": None})})
