"""Which stages an evaluation goes through: the networks that are asked for, then each improvement in turn."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from unetpp.inference.engines.network import Network
from unetpp.inference.ensemble.load import Averaging, averaged, load_member
from unetpp.inference.ensemble.members import ensemble_of
from unetpp.inference.evaluation.stages import Stage
from unetpp.inference.masks.decide import PLAIN, Decision

__all__ = ["load_networks", "plan_stages"]


def load_networks(
    places: Sequence[str], level: int | None, dilation: Sequence[int] | None, device: torch.device
) -> list[Network]:
    """Every network as it is, with all its levels; see `load_network`."""
    return [load_member(place, level, dilation, device, every_level=True) for place in places]


def plan_stages(
    networks: Sequence[Network],
    places: Sequence[str],
    averaging: Averaging,
    decision: Decision,
) -> list[Stage]:
    """From the plain networks to all that was asked for; each stage adds to the one before.

    Raises:
        UserError: members differ, or an improvement is not possible.
    """
    several = len(networks) > 1
    names = [place.rstrip("/").rpartition("/")[2] for place in places] if several else ["plain"]
    stages = [Stage(name, network, PLAIN) for name, network in zip(names, networks, strict=True)]

    def together(used: Averaging) -> Network:
        members = [averaged(*pair, used) for pair in zip(networks, places, strict=True)]
        return ensemble_of(members, places)

    if several:
        stages.append(Stage(f"mean of {len(networks)} networks", together(Averaging()), PLAIN))
    if averaging.levels:
        stages.append(Stage("+ mean of levels", together(Averaging(levels=True)), PLAIN))
    if averaging.tta:
        stages.append(Stage("+ mean of views", together(averaging), PLAIN))
    if decision.thresholds:
        stages.append(Stage("+ thresholds", stages[-1].network, replace(decision, min_object_px=0)))
    if decision.min_object_px > 1:
        name = f"+ objects of {decision.min_object_px} px or more"
        stages.append(Stage(name, stages[-1].network, decision))
    return stages
