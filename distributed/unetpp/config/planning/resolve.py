"""Every `auto` of a configuration decided from the dataset's manifest and the hardware; pure functions."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unetpp.config.encoders import ENCODERS, deepest_encoded, is_file
from unetpp.config.load import replace
from unetpp.config.planning.hardware import Hardware, Node
from unetpp.config.planning.memory import training_need
from unetpp.config.planning.placement import candidates, trials_at_once
from unetpp.config.planning.requirements import check_dataset, check_hardware
from unetpp.config.planning.shares import cpu_share, worker_memory_bytes
from unetpp.config.planning.validation import validation_interval
from unetpp.config.planning.volumes import patch_of, pooling_of, spacing_of
from unetpp.config.run import RunConfig
from unetpp.config.sections.base import AUTO
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest

__all__ = ["DECIDED_FIELDS", "STEPS_PER_EPOCH", "Decision", "resolve"]

_WHOLE_IMAGE_MAX_PX = 512
_CROP_PX = 256
_AUTO_DEPTH_MAX = 4
_BOTTLENECK_PX = 8
_BATCH_PER_GPU = 16
_BATCH_PER_CPU_WORKER = 8
STEPS_PER_EPOCH = 8
"""At least, which a batch leaves of few images."""
_SYNC_BELOW = 16
"""Images; with 4 of them a worker, nuclei reached 0.876 validation Dice, with 8 in one process 0.890."""
_CACHED_SHARD_BYTES = 32 * 2**10
_CACHED_ROW_BYTES = 512
"""On top of pixels: a shard's schema and paddings (measured: 5 KiB per row group), a row's id and source."""
_CACHE_DISK_SHARE = 0.5
_RARE_SHARE = 0.05
_FOREGROUND = 0.33
"""nnU-Net's share of crops that are sure to hold foreground."""
_MEMORY_SHARE = 0.5
"""Share of its memory that `auto` gives a worker; object store and fragments need the rest."""


@dataclass(frozen=True)
class Decision:
    """How an `auto` was decided."""

    field: str
    value: Any
    reason: str


@dataclass(frozen=True)
class _Given:
    """What a rule may look at; `config` holds the decisions made before it."""

    config: RunConfig
    manifest: Manifest
    hardware: Hardware
    sweep: bool

    def nodes(self) -> list[Node]:
        return candidates(self.config.scale, self.hardware)


def resolve(
    config: RunConfig, manifest: Manifest, hardware: Hardware, *, sweep: bool = False
) -> tuple[RunConfig, tuple[Decision, ...]]:
    """Decide every `auto` in an order in which each rule sees what it depends on.

    Args:
        config: as it was given.
        manifest: the dataset.
        hardware: the machines that may be used: a cluster's, or this one.
        sweep: whether several trainings of this configuration share them.

    Raises:
        ConfigError: a value given by the user does not fit the dataset or the hardware.
    """
    rows = manifest.splits["train"].rows if "train" in manifest.splits else 0
    if not rows:
        raise ConfigError("the train split must hold rows; it has none; pack more images or a smaller --val")
    if is_file(config.model.encoder):
        raise ConfigError(
            f"model.encoder={config.model.encoder} is read where a run or a sweep starts; name the encoder, "
            f"one of {', '.join(ENCODERS)}, and the file in train.init"
        )
    decisions: list[Decision] = []
    for field, rule in _RULES:
        section, name = field.split(".")
        if _is_open(config, section, name):
            value, reason = rule(_Given(config, manifest, hardware, sweep))
            config = replace(config, {field: value})
            decisions.append(Decision(field, value, reason))
    problems = [*check_dataset(config, manifest), *check_hardware(config, hardware)]
    if problems:
        raise ConfigError("\n".join(problems))
    return config, tuple(decisions)


def _is_open(config: RunConfig, section: str, name: str) -> bool:
    value = getattr(getattr(config, section), name)
    is_open = name == "spatial_dims" or config.model.spatial_dims == 3
    return value == AUTO or (value is None and is_open)


def _spatial_dims(given: _Given) -> tuple[int, str]:
    kind = "volumes" if given.manifest.spatial_dims == 3 else "pictures"
    return given.manifest.spatial_dims, f"the dataset holds {kind}"


def _in_channels(given: _Given) -> tuple[int, str]:
    return given.manifest.channels, "channels of the dataset's images"


def _num_classes(given: _Given) -> tuple[int, str]:
    return given.manifest.num_classes, f"classes of the dataset, a {given.manifest.task} task"


def _image_classes(given: _Given) -> tuple[int, str]:
    return len(given.manifest.image_labels), "image-level labels of the dataset"


def _gpu(given: _Given) -> tuple[bool, str]:
    nodes, workers = given.nodes(), given.config.min_workers
    gpus = sum(node.gpus for node in nodes)
    places = "this machine" if given.config.scale.address is None else f"{len(nodes)} node(s)"
    reason = f"{gpus:g} GPU(s) on {places} for {workers} worker(s)"
    if given.config.scale.autoscaling and not gpus:
        reason += "; say scale.gpu=true if nodes with GPUs will come"
    return gpus >= workers, reason


def _gpus_per_worker(given: _Given) -> tuple[float, str]:
    gpus, workers = given.hardware.gpus, given.config.min_workers
    if given.config.scale.gpu and given.config.scale.address is None and 0 < gpus < workers:
        sharing = -(-workers // int(gpus))
        return math.floor(1000 / sharing) / 1000, f"{workers} worker(s) share {gpus:g} GPU(s)"
    return 1.0, "a GPU of its own" if given.config.scale.gpu else "unused without scale.gpu"


def _precision(given: _Given) -> tuple[str, str]:
    if given.config.scale.gpu:
        return "bf16", "GPUs multiply bf16 faster, and it keeps the range of fp32"
    nodes = [node for node in given.nodes() if node.cpus]
    speeds = [node.cpu_speed for node in nodes if node.cpu_speed is not None]
    if len(speeds) < max(1, len(nodes)):
        return "fp32", f"{len(nodes) - len(speeds)} node(s) do not tell how fast their CPU is in bf16"
    slowest = min(speeds, key=lambda speed: speed.gain)
    return ("bf16" if slowest.prefers_bf16 else "fp32"), str(slowest)


def _depth(given: _Given) -> tuple[int, str]:
    for name in ("widths", "dilation"):
        levels = getattr(given.config.model, name)
        if isinstance(levels, tuple):
            return len(levels) - 1, f"model.{name} has {len(levels)} entries"
    if given.config.data.crop != AUTO:
        side = given.config.data.crop
    elif given.manifest.spatial_dims == 3:
        side = patch_of(given.manifest)[1]
    elif _whole_images(given.manifest):
        side = min(given.manifest.min_size_px)
    else:
        side = _patch_px(given.manifest)
    model = given.config.model
    deepest = (side // model.stem_stride // _BOTTLENECK_PX).bit_length() - 1
    most = _AUTO_DEPTH_MAX if model.encoder == "none" else deepest_encoded(model.stem_stride)
    depth = max(1, min(most, deepest))
    left = side // (model.stem_stride * 2**depth)
    return depth, f"a side of {side} px leaves {left} px at the bottleneck"


def _pool(given: _Given) -> tuple[tuple[tuple[int, ...], ...], str]:
    data, manifest = given.config.data, given.manifest
    planes, side = patch_of(manifest)
    planes = data.crop_depth or planes
    side = side if data.crop == AUTO else data.crop
    spacing = spacing_of(manifest)
    lengths = " x ".join(f"{length:g}" for length in spacing)
    told = f"voxels of {lengths} mm" if manifest.voxel_mm else "voxels of unknown spacing, taken as cubes"
    pool = pooling_of((planes, side, side), spacing, int(given.config.model.depth))
    return pool, f"{told}, patches of {planes} planes"


def _crop_depth(given: _Given) -> tuple[int, str]:
    pool = given.config.model.pool or ()
    multiple = math.prod(factors[0] for factors in pool)
    planes = patch_of(given.manifest)[0]
    reason = f"{planes} planes, rounded up to a multiple of {multiple}"
    return _round_up(planes, multiple), reason


def _crop(given: _Given) -> tuple[int, str]:
    multiple = given.config.model.stem_stride * 2 ** int(given.config.model.depth)
    if given.manifest.spatial_dims == 3:
        planes, side = patch_of(given.manifest)
        reason = f"a patch of {planes} x {side} x {side} voxels, rounded up to a multiple of {multiple}"
        return _round_up(side, multiple), reason
    if _whole_images(given.manifest):
        shorter, longest = sorted(given.manifest.max_size_px)
        if shorter == longest:
            reason = f"whole images: {longest} px, rounded up to a multiple of {multiple}"
            return _round_up(longest, multiple), reason
        # A square of the longer side would be padding in good part.
        side = max(shorter // multiple, 1) * multiple
        return side, f"images of {shorter} x {longest} px: the shorter side, down to a multiple of {multiple}"
    median = _median_side_px(given.manifest)
    reason = (
        f"images differ in size or exceed {_WHOLE_IMAGE_MAX_PX} px: the lesser of {_CROP_PX} px and their "
        f"median shorter side, {median} px, rounded up to a multiple of {multiple}"
    )
    return _round_up(_patch_px(given.manifest), multiple), reason


def _foreground(given: _Given) -> tuple[float, str]:
    manifest, crop = given.manifest, int(given.config.data.crop)
    if all(side <= crop for side, crop in zip(manifest.max_size_px, given.config.patch_px, strict=True)):
        return 0.0, f"a crop of {crop} px holds whole images"
    share, name = _rarest_class(manifest)
    reason = f"the rarest foreground class, {name}, takes {share:.2%} of the pixels"
    return (_FOREGROUND if 0 < share < _RARE_SHARE else 0.0), reason


def _validate_every(given: _Given) -> tuple[int, str]:
    return validation_interval(given.config, given.manifest, sweep=given.sweep)


def _memory(given: _Given) -> tuple[str, str]:
    config = given.config
    asked = config.data.batch_size
    passes = config.min_workers * config.train.accumulate
    samples = 1 if asked == AUTO else -(-int(asked) // passes)
    batch = "a sample" if asked == AUTO else f"{samples} samples a pass"
    memory_bytes = _worker_memory_bytes(given)
    if memory_bytes is None:
        return "keep", "the memory of its device is not known"
    needed = training_need(config).total_bytes(samples)
    told = f"{batch} of {_gib(needed)} GiB, {_gib(memory_bytes)} GiB a worker"
    if needed <= _MEMORY_SHARE * memory_bytes:
        return "keep", told
    if config.model.norm == "batch":
        return "keep", f"{told}; batch norm would count what is computed again"
    return "recompute", f"{told}: computed again for the backward pass"


def _worker_memory_bytes(given: _Given) -> int | None:
    nodes = given.nodes()
    trials = max(1, trials_at_once(given.config, nodes)) if given.sweep else 1
    return worker_memory_bytes(given.config, nodes, trials)


def _batch_size(given: _Given) -> tuple[int, str]:
    config = given.config
    workers, rows = config.max_workers, given.manifest.splits["train"].rows
    unit = workers * config.train.accumulate
    usual = (_BATCH_PER_GPU if config.scale.gpu else _BATCH_PER_CPU_WORKER) * workers
    many_steps = max(1, rows // STEPS_PER_EPOCH)
    limits = {
        f"{usual} (usual for {workers} worker(s))": usual,
        f"{many_steps} ({STEPS_PER_EPOCH} steps an epoch)": many_steps,
    }
    memory_bytes = _worker_memory_bytes(given)
    need = training_need(config)
    if memory_bytes is None:
        known = "; the memory of its device is not known and sets no limit"
    else:
        known = ""
        # An elastic run keeps its batch where it has the fewest workers.
        fits = need.samples(int(_MEMORY_SHARE * memory_bytes)) * config.min_workers * config.train.accumulate
        each_mib = need.sample_bytes / 2**20
        limits[f"{fits} (fit in {_gib(memory_bytes)} GiB a worker at {each_mib:.0f} MiB each)"] = fits
    batch = max(unit, min(limits.values()) // unit * unit)
    return batch, f"the least of {', '.join(limits)}, a multiple of {unit}{known}"


def _cache_bytes(given: _Given) -> tuple[int, str]:
    shards = [shard for split in given.manifest.splits.values() for shard in split.shards]
    # A shard of which several splits have rows is held once.
    held = {shard.sha256: shard.decoded_bytes + _CACHED_SHARD_BYTES for shard in shards}
    needed = sum(held.values()) + _CACHED_ROW_BYTES * sum(shard.rows for shard in shards)
    if given.config.data.cache_dir or given.config.scale.address is not None:
        return needed, f"{_gib(needed)} GiB hold the decoded dataset; machines with less disk cache a part"
    free_bytes = given.hardware.free_disk_bytes
    limit = min(needed, int(_CACHE_DISK_SHARE * free_bytes))
    return (
        limit,
        f"{_gib(needed)} GiB hold the decoded dataset; half of the {_gib(free_bytes)} GiB free is allowed",
    )


def _gib(count_bytes: int) -> str:
    gib = count_bytes / 2**30
    return f"{gib:.2f}" if gib >= 0.1 else f"{gib:.1g}"


def _sync_bn(given: _Given) -> tuple[bool, str]:
    config = given.config
    if config.model.norm != "batch":
        return False, f"model.norm={config.model.norm} has no batch statistics"
    share = int(config.data.batch_size) // (config.max_workers * config.train.accumulate)
    if config.max_workers > 1 and share < _SYNC_BELOW:
        return True, f"{share} images in a worker's pass give poor statistics of their own"
    return False, f"{share} image(s) in a pass of {config.max_workers} worker(s)"


def _cpus_per_worker(given: _Given) -> tuple[float, str]:
    config, nodes = given.config, given.nodes()
    share = cpu_share(config, nodes, config.max_workers * _asked_trials(given))
    if share is None:
        return 1.0, "no node that could train is known"
    cpus = sum(node.cpus for node in nodes)
    return share, f"{cpus:g} CPU(s) on {len(nodes)} node(s), one of each kept for reading data"


def _asked_trials(given: _Given) -> int:
    """Trainings that should find CPUs at once; each GPU of a cluster finds its own."""
    limit = given.config.tune.max_concurrent
    return int(limit) if given.sweep and limit != AUTO else 1


def _whole_images(manifest: Manifest) -> bool:
    return len(manifest.sizes) == 1 and max(manifest.max_size_px) <= _WHOLE_IMAGE_MAX_PX


def _patch_px(manifest: Manifest) -> int:
    return min(_CROP_PX, _median_side_px(manifest))


def _rarest_class(manifest: Manifest) -> tuple[float, str]:
    """Share of the train pixels and name of the rarest class that occurs; value 0 is background."""
    first = 1 if manifest.task == "multiclass" else 0
    named = list(zip(manifest.class_pixels, manifest.classes, strict=True))[first:]
    pixels, name = min(((count, info.name) for count, info in named if count), default=(0, "none"))
    rows = sum(manifest.sizes.values())
    area = sum(math.prod(map(int, size.split("x"))) * count for size, count in manifest.sizes.items())
    return pixels * rows / (area * manifest.splits["train"].rows), name


def _median_side_px(manifest: Manifest) -> int:
    """Lower median over rows of the shorter side."""
    sides = sorted((min(map(int, size.split("x"))), rows) for size, rows in manifest.sizes.items())
    ends = itertools.accumulate(rows for _, rows in sides)
    half = sum(rows for _, rows in sides) / 2
    return next(side for (side, _), end in zip(sides, ends, strict=True) if end >= half)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


_Rule = Callable[[_Given], tuple[Any, str]]
_RULES: tuple[tuple[str, _Rule], ...] = (
    ("model.spatial_dims", _spatial_dims),
    ("model.in_channels", _in_channels),
    ("model.num_classes", _num_classes),
    ("model.image_classes", _image_classes),
    ("scale.gpu", _gpu),
    ("scale.gpus_per_worker", _gpus_per_worker),
    ("scale.cpus_per_worker", _cpus_per_worker),
    ("train.precision", _precision),
    ("model.depth", _depth),
    ("model.pool", _pool),
    ("data.crop", _crop),
    ("data.crop_depth", _crop_depth),
    ("data.foreground", _foreground),
    ("train.validate_every", _validate_every),
    ("train.memory", _memory),
    ("data.batch_size", _batch_size),
    ("data.cache_bytes", _cache_bytes),
    ("train.sync_bn", _sync_bn),
)
DECIDED_FIELDS = frozenset(field for field, _ in _RULES)
"""Those that a rule decides where they are left open."""
