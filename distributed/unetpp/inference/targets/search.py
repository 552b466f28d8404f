"""Search for the file that is fastest here among those that are as good as is asked for."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unetpp.core.errors import ConfigError, CorruptionError, InputError, StorageError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.sample import Sample
from unetpp.inference.engines.engine import Description
from unetpp.inference.engines.exported import ExportedModel
from unetpp.inference.engines.network import Network, network_of_engine
from unetpp.inference.engines.real_images import CALIBRATING, validation_images
from unetpp.inference.engines.registry import load_engine
from unetpp.inference.export import file_bytes
from unetpp.inference.targets.candidates import Candidate, Target, candidates_for
from unetpp.inference.targets.measure import level_scores, network_scores, seconds_per_image
from unetpp.inference.targets.write import LevelFiles
from unetpp.models.load import LoadedRun

__all__ = ["MAX_DROP", "Measured", "Wanted", "choose", "search"]

MAX_DROP = 0.01
"""Of the Dice, unless another is asked for."""

_SCORED = 64
"""Validation images that quality is measured on, at most."""
_TIMED = 6
"""Of these, that speed is measured on."""
_FLOAT_ENDS = 4
"""Convolutions at either end that stay float32 where int8 of nearly all loses too much."""


@dataclass(frozen=True)
class Wanted:
    """What the file is for."""

    target: Target
    max_drop: float
    """Of the pooled Dice on validation images, below the full network's in float32."""
    suffix: str = ""
    """Of the file; empty for any."""

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ConfigError: a drop out of range, or no GPU here.
        """
        if not 0 <= self.max_drop < 1:
            raise ConfigError(f"--max-drop {self.max_drop:g} must be within 0 and 1, as 0.01 of the Dice")
        if self.target == "gpu" and not torch.cuda.is_available():
            raise ConfigError("--target gpu measures on a GPU and this machine has none; use --target cpu")


@dataclass(frozen=True)
class Measured:
    """A candidate as it was found here."""

    candidate: Candidate
    file: Path
    dice: float
    iou: float
    drop: float
    """Of the Dice, below the full network's in float32."""
    seconds: float
    """Of an image."""
    bytes: int

    def row(self) -> dict[str, Any]:
        """As JSON."""
        shown = {
            key: value for key, value in asdict(self).items() if key not in ("candidate", "file", "seconds")
        }
        chosen = self.candidate
        return {
            "level": chosen.level,
            "engine": chosen.engine,
            "precision": chosen.numbers,
            **shown,
            "images_per_s": 1 / self.seconds,
        }


def search(
    run: LoadedRun,
    wanted: Wanted,
    describe: Callable[[int], Description],
    folder: Path,
    *,
    on_candidate: Callable[[str], None] = lambda _said: None,
) -> list[Measured]:
    """Write and measure candidates; the first is the full network in float32 in PyTorch, which others are
    compared with.

    Levels that lose too much in float32 are left out; so are files that cannot be written.

    Args:
        run: with all its heads.
        wanted: what is asked for.
        describe: what a file of a level in float32 says of itself.
        folder: for the files.
        on_candidate: told what is being measured.

    Raises:
        InputError: the dataset cannot be read, or has no masks to validate with.
        ConfigError: see `candidates_for`.
    """
    samples = _samples(run)
    by_level = level_scores(run, samples)
    deepest = max(by_level)
    best = by_level[deepest]["dice"]
    levels = [level for level, scores in by_level.items() if best - scores["dice"] <= wanted.max_drop]
    images = list(validation_images(run, CALIBRATING))
    found: dict[Candidate, tuple[Path, Network, dict[str, float]]] = {}
    full = Candidate(deepest, ".safetensors", "float32", "float32")
    for level in sorted({*levels, deepest}, reverse=True):
        exported = ExportedModel(run.normalise, run.model.at_level(level)).eval()
        files = LevelFiles(folder, exported, describe(level), images)
        wished = candidates_for(wanted.target, level, wanted.suffix)
        for candidate in [full] * (level == deepest) + [entry for entry in wished if entry != full]:
            on_candidate(f"level {level}, {candidate.engine} {candidate.numbers}")
            for attempt in _attempts(candidate):
                path = files.write(attempt)
                network = network_of_engine(load_engine(path))
                scores = network_scores(network, samples)
                if attempt == candidate or best - scores["dice"] <= wanted.max_drop:
                    found[attempt] = (path, network, scores)
                if best - scores["dice"] <= wanted.max_drop:
                    break
    on_candidate("speed")
    seconds = seconds_per_image({key: entry[1] for key, entry in found.items()}, samples[:_TIMED])
    reference = found[full][2]["dice"]
    return [
        Measured(
            key, path, **scores, drop=reference - scores["dice"], seconds=seconds[key], bytes=file_bytes(path)
        )
        for key, (path, _, scores) in found.items()
    ]


def _attempts(candidate: Candidate) -> Iterator[Candidate]:
    """The candidate, then what may lose less."""
    yield candidate
    if candidate.precision == "int8":
        yield replace(candidate, float_ends=_FLOAT_ENDS)


def _samples(run: LoadedRun) -> list[Sample]:
    manifest, uri = run.manifest, run.config.data.uri
    if "val" not in manifest.splits or not manifest.splits["val"].rows:
        raise InputError(
            "--target measures on the validation split, and this dataset has none; pack with --val"
        )
    some = itertools.islice(iter_samples(open_storage(uri), manifest, "val"), _SCORED)
    try:
        return [replace(sample, image=np.array(sample.image), mask=np.array(sample.mask)) for sample in some]
    except (StorageError, CorruptionError, FileNotFoundError) as error:
        raise InputError(f"--target needs the images of the dataset {uri}: {error}") from error


def choose(found: Sequence[Measured], max_drop: float) -> Measured:
    """The fastest that loses no more than allowed.

    Raises:
        InputError: there is none of the wanted kind.
    """
    good = [entry for entry in found if entry.drop <= max_drop]
    if not good:
        raise InputError(f"no candidate is within --max-drop {max_drop:g}; allow more")
    return min(good, key=lambda entry: entry.seconds)
