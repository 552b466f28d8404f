"""What a process needs to score parts of a split, and what it gives of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.inference.device import pick_device
from unetpp.inference.engines.network import Network
from unetpp.inference.engines.registry import is_export
from unetpp.inference.ensemble.members import mean_thresholds
from unetpp.inference.evaluation.disturb import disturber
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.evaluation.parts import Part, PartReader, batches
from unetpp.inference.evaluation.plan_stages import load_networks, plan_stages
from unetpp.inference.evaluation.scorer import Scorer
from unetpp.inference.evaluation.tally import Measured, Tally
from unetpp.inference.masks.decide import decision_of
from unetpp.models.load import LoadedRun, load_run

__all__ = ["EvaluateWork", "PartScorer", "Scored", "in_order"]


@dataclass(frozen=True)
class Scored:
    """What became of a part."""

    number: int
    """Of the part."""
    tally: Tally
    device: str
    """Type of that which it was predicted on."""


@dataclass(frozen=True)
class EvaluateWork:
    """An evaluation without its parts; it travels to other processes."""

    models: tuple[str, ...]
    """Runs, and files that `export` wrote; of several the mean."""
    level: int | None
    options: EvaluateOptions
    data_uri: str
    manifest: Manifest
    """The version of the dataset that is scored."""
    split: str

    def open(self) -> "PartScorer":
        """With the networks loaded."""
        device = pick_device()
        networks = load_networks(self.models, self.level, self.options.dilation, device)
        return PartScorer(self, networks, device)


class PartScorer:
    """Scores parts with networks that are loaded.

    Args:
        work: what is asked for.
        networks: of its models, with every level.
        device: where they are.

    Raises:
        UserError: members differ, an improvement is not possible, or images cannot be changed so.
    """

    def __init__(self, work: EvaluateWork, networks: Sequence[Network], device: torch.device) -> None:
        manifest, options = work.manifest, work.options
        decision = decision_of(
            options.thresholds, mean_thresholds(networks), options.min_object_px, networks[0].manifest
        )
        self.stages = plan_stages(networks, work.models, options.averaging, decision)
        load = partial(_attacked, work)
        self.disturb = disturber(options.disturbance, load, manifest, device)
        self._device = device
        measured = Measured(options.tolerance, options.fit_thresholds)
        self._scorer = Scorer(self.stages, manifest, device, measured)
        self._read = PartReader(open_storage(work.data_uri), manifest.splits[work.split].shards)

    def tally(self) -> Tally:
        """An empty one, to merge those of the parts into."""
        return self._scorer.tally()

    def __call__(self, parts: Iterable[Part]) -> Iterator[Scored]:
        """Each with its scores, in the given order.

        Raises:
            CorruptionError: a shard is missing or damaged.
            InputError: an image has no spacing, and borders are measured in mm.
        """
        for part in parts:
            tally, first = self._scorer.tally(), part.first
            for batch in batches(self._read(part)):
                changed = batch if self.disturb is None else self.disturb(batch)
                self._scorer.add(changed, tally, first)
                first += len(batch)
            yield Scored(part.number, tally, self._device.type)


def in_order(scored: Iterable[Scored]) -> Iterator[Scored]:
    """The parts in the split's order; memory holds those that came before their turn."""
    waiting: dict[int, Scored] = {}
    turn = 0
    for each in scored:
        waiting[each.number] = each
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _attacked(work: EvaluateWork) -> LoadedRun:
    """The run whose gradients an attack follows."""
    if len(work.models) > 1 or is_export(work.models[0]):
        raise ConfigError("an attack follows the gradients of one run; name one run, or leave --attack out")
    return load_run(work.models[0], level=work.level, dilation=work.options.dilation)
