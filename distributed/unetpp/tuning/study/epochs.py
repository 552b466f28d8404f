"""What a study says of a trial's epochs, in few bytes: a long study has many of them.

user attribute    value, JSON text
networks          [[level, latency_s, params, macs], ...], of the trial's levels, shallow to deep; where
                  several vectors of dilations share the weights, with the network's own as a fifth entry
epoch:<epoch>     [seconds, stopped, [quality, ...]], the qualities in the order of the networks;
                  stopped is 1 where the trial was to end after the epoch, 2 where it went on with
                  another trial's weights, see exploits.py; no quality: not validated
levels:<epoch>    the results of every level in full, as studies were written formerly; still read
seconds           beside those: time of all of their epochs
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.trial import FrozenTrial

from unetpp.config.dilations import Dilation
from unetpp.tuning.study.levels import LevelResult

__all__ = [
    "NETWORKS",
    "EpochRecord",
    "Verdict",
    "better_kept",
    "dump_epoch",
    "dump_networks",
    "epoch_key",
    "epoch_records",
    "kept_after",
    "kept_levels",
    "trial_seconds",
]

NETWORKS = "networks"
_SECONDS = "seconds"
_EPOCH = "epoch:"
_FORMER = "levels:"


Verdict = Literal["continue", "stop", "exploit"]
"""What is decided after an epoch; exploit: the trial goes on with the weights of another one."""
_VERDICTS: tuple[Verdict, ...] = ("continue", "stop", "exploit")
"""By their number in the study."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial, and what was decided after it."""

    levels: Sequence[LevelResult]
    """Empty where the epoch was not validated."""
    seconds: float = 0.0
    verdict: Verdict = "continue"


def epoch_key(epoch: int) -> str:
    """The user attribute of an epoch."""
    return f"{_EPOCH}{epoch}"


def dump_networks(levels: Sequence[LevelResult]) -> str:
    """What does not change from epoch to epoch."""
    return _dump(
        [
            [found.level, found.latency_s, found.params, found.macs, *_fifth(found.dilation)]
            for found in levels
        ]
    )


def dump_epoch(record: EpochRecord) -> str:
    """What does."""
    qualities = [found.quality for found in record.levels]
    return _dump([record.seconds, _VERDICTS.index(record.verdict), qualities])


def epoch_records(trial: FrozenTrial) -> dict[int, EpochRecord]:
    """Every recorded epoch, in order."""
    networks = json.loads(trial.user_attrs.get(NETWORKS, "[]"))
    found = {}
    for key, value in trial.user_attrs.items():
        if key.startswith(_EPOCH):
            found[int(key.removeprefix(_EPOCH))] = _load_epoch(value, networks)
        elif key.startswith(_FORMER):
            levels = [LevelResult(**entry) for entry in json.loads(value)]
            found[int(key.removeprefix(_FORMER))] = EpochRecord(levels)
    return dict(sorted(found.items()))


def trial_seconds(trial: FrozenTrial, records: Mapping[int, EpochRecord]) -> float:
    """Training and validation time of all of the trial's epochs."""
    former = float(trial.user_attrs.get(_SECONDS, 0.0))
    return former + math.fsum(record.seconds for record in records.values())


def kept_levels(records: Mapping[int, EpochRecord]) -> Sequence[LevelResult]:
    """Results of the epoch whose checkpoint the run keeps as best: its deepest level was best, first.

    All levels are of one epoch, so that each is a network that can be had. Empty before the first one, and
    where another trial's weights took the place of what there was.

    Args:
        records: of one trial, in the order of the epochs.
    """
    kept: Sequence[LevelResult] = []
    for record in records.values():
        kept = kept_after(kept, record)
    return kept


def kept_after(kept: Sequence[LevelResult], record: EpochRecord) -> Sequence[LevelResult]:
    """What a run keeps after an epoch, of what it kept before."""
    return [] if record.verdict == "exploit" else better_kept(kept, record.levels)


def better_kept(kept: Sequence[LevelResult], levels: Sequence[LevelResult]) -> Sequence[LevelResult]:
    """Of the results kept so far, maybe none, and those of a later epoch: what the run keeps."""
    return levels if levels and (not kept or _deepest(levels) > _deepest(kept)) else kept


def _deepest(levels: Sequence[LevelResult]) -> float:
    """Quality of the deepest network; of the best of those that share its weights."""
    level = max(result.level for result in levels)
    qualities = [result.quality for result in levels if result.level == level]
    return max((quality for quality in qualities if not math.isnan(quality)), default=-math.inf)


def _fifth(dilation: Dilation | None) -> list[Dilation]:
    return [] if dilation is None else [dilation]


def _load_epoch(text: str, networks: Sequence[Any]) -> EpochRecord:
    seconds, stopped, qualities = json.loads(text)
    levels = [
        LevelResult(level, quality, latency_s, params, macs, *map(tuple, dilation))
        for (level, latency_s, params, macs, *dilation), quality in zip(networks, qualities, strict=False)
    ]
    return EpochRecord(levels, seconds, _VERDICTS[stopped])


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
