"""What an evaluation does to samples before it scores them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from unetpp.core.manifest import Manifest
from unetpp.data.dataset.sample import Sample
from unetpp.inference.robustness.attacked import Attacked
from unetpp.inference.robustness.disturbance import Disturbance
from unetpp.models.load import LoadedRun

__all__ = ["Disturb", "disturber"]


class Disturb(Protocol):
    """Changes the images of samples of one size."""

    @property
    def facts(self) -> dict[str, Any]:
        """As an evaluation tells them."""
        ...

    @property
    def suffix(self) -> str:
        """Of the evaluation's name."""
        ...

    def __call__(self, samples: Sequence[Sample]) -> list[Sample]: ...


def disturber(
    asked: Disturbance, load: Callable[[], LoadedRun], manifest: Manifest, device: torch.device
) -> Disturb | None:
    """What was asked for, ready for the samples of a dataset; None leaves them as they are.

    Args:
        asked: what is done to images.
        load: the run whose gradients an attack follows.
        manifest: of the dataset.
        device: where to compute.

    Raises:
        InputError: an epsilon is missing, or changes nothing.
    """
    attack = asked.attack_on(manifest)
    return asked.corrupted(manifest) if attack is None else Attacked(load(), attack, device)
