"""What is done to images before an evaluation scores them: an attack, or a corruption."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from unetpp.config.adversarial import USUAL_EPSILON, missing_epsilon, raw_range
from unetpp.config.sections.adversarial import AttackName
from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.core.seeds import rng
from unetpp.data.dataset.sample import Sample
from unetpp.inference.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from unetpp.objective.attacks.attack import Attack

__all__ = ["Corrupted", "Disturbance"]

_FGSM_STEPS = 1
_ATTACK_STEPS = 10


@dataclass(frozen=True)
class Disturbance:
    """An attack or a corruption, as asked for; neither leaves images as they are.

    Raises:
        InputError: both were asked for, or a value is none of those that there are.
    """

    attack: str | None = None
    """fgsm, pgd or segpgd."""
    epsilon: float | None = None
    """Largest change of a pixel in raw values; 8 for images of 8 bits."""
    steps: int | None = None
    """Of the attack; 10 for pgd and segpgd."""
    corruption: str | None = None
    """A name in `CORRUPTIONS`."""
    severity: int | None = None
    """1 to 5; 3 unless given."""

    def __post_init__(self) -> None:
        if problem := next(self._problems(), None):
            raise InputError(problem)

    def _problems(self) -> Iterator[str]:
        attacks = get_args(AttackName)
        if self.attack is not None and self.corruption is not None:
            yield f"--attack={self.attack} and --corruption={self.corruption} exclude each other; use one"
        if self.attack is not None and self.attack not in attacks:
            yield f"--attack must be one of {', '.join(attacks)}; it is {self.attack}"
        if self.corruption is not None and self.corruption not in CORRUPTIONS:
            yield f"--corruption must be one of {', '.join(CORRUPTIONS)}; it is {self.corruption}"
        if self.severity is not None and (self.corruption is None or self.severity not in SEVERITIES):
            yield f"--severity must be 1 to 5 and needs --corruption; it is {self.severity}"
        if self.attack is None and (self.epsilon is not None or self.steps is not None):
            yield "--epsilon and --steps need --attack; add --attack pgd"
        if self.epsilon is not None and not self.epsilon > 0:
            yield f"--epsilon must be above 0; it is {self.epsilon:g}"
        if self.steps is not None and (self.steps < 1 or (self.attack == "fgsm" and self.steps > 1)):
            yield f"--steps must be 1 or more, and fgsm takes one; it is {self.steps}"

    def attack_on(self, manifest: Manifest) -> Attack | None:
        """The attack on a dataset's images.

        Raises:
            InputError: its epsilon is missing, or too small to change a whole number.
        """
        if self.attack is None:
            return None
        if missing := missing_epsilon(self.epsilon, manifest, "--epsilon"):
            raise InputError(missing)
        epsilon = USUAL_EPSILON if self.epsilon is None else self.epsilon
        if epsilon < 1 and manifest.dtype != "float32":
            raise InputError(
                f"--epsilon must be 1 or more for images of {manifest.dtype}, whose values are whole "
                f"numbers; it is {epsilon:g}; 8 of 255 is written --epsilon 8"
            )
        steps = self.steps or (_FGSM_STEPS if self.attack == "fgsm" else _ATTACK_STEPS)
        return Attack(self.attack, epsilon, steps, manifest.dtype)  # type: ignore[arg-type]  # was looked up

    def corrupted(self, manifest: Manifest) -> "Corrupted | None":
        """The corruption of a dataset's images."""
        return None if self.corruption is None else Corrupted(self.corruption, self.severity or 3, manifest)


class Corrupted:
    """Corrupts samples, each alike whenever it is seen.

    Args:
        name: one of `CORRUPTIONS`.
        severity: 1 to 5.
        manifest: of the dataset. White is the largest value of 8 bits; of other images 98 % of the values
            are taken to lie between dark and white.
    """

    def __init__(self, name: str, severity: int, manifest: Manifest) -> None:
        self.name, self.severity = name, severity
        self.dark, self.white = raw_range(manifest.dtype)
        if manifest.dtype != "uint8":
            self.dark = min(channel.p01 for channel in manifest.channel_stats)
            self.white = max(channel.p99 for channel in manifest.channel_stats)

    @property
    def facts(self) -> dict[str, Any]:
        """As an evaluation tells them."""
        return {"corruption": self.name, "severity": self.severity}

    @property
    def suffix(self) -> str:
        """Of the evaluation's name."""
        return f"{self.name}-{self.severity}"

    def __call__(self, samples: Sequence[Sample]) -> list[Sample]:
        return [replace(sample, image=self._image(sample)) for sample in samples]

    def _image(self, sample: Sample) -> NDArray[Any]:
        generator = rng("corruption", self.name, self.severity, sample.sample_id)
        span = self.white - self.dark or 1.0
        values = (sample.image.astype(np.float64) - self.dark) / span
        changed = corrupt(values, self.name, self.severity, generator) * span + self.dark
        kind = sample.image.dtype
        return (changed if kind.kind == "f" else changed.round()).astype(kind)
