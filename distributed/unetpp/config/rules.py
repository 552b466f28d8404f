"""Rules that span fields or sections, each stated as rule, value and fix."""

from collections.abc import Iterator

from unetpp.config.encoders import ENCODER_ROWS, ENCODERS, deepest_encoded, is_file
from unetpp.config.sections.data import AugmentConfig, DataConfig
from unetpp.config.sections.loss import PIXEL_TERMS, LossConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.sections.train import ScaleConfig, TrainConfig
from unetpp.config.sections.tune import TuneConfig

__all__ = [
    "augment_rules",
    "batch_rules",
    "crop_rules",
    "fold_rules",
    "loss_rules",
    "memory_rules",
    "model_rules",
    "scale_rules",
    "shared_dilation_rules",
    "tune_rules",
]


def model_rules(model: ModelConfig) -> Iterator[str]:
    """What must have one entry per row 0..depth, and how many rows an encoder has."""
    depth = model.depth
    yield from _encoder_rules(model)
    rows = {
        name: value
        for name, value in (("widths", model.widths), ("dilation", model.dilation))
        if isinstance(value, tuple)
    }
    if isinstance(depth, int):
        for name, value in rows.items():
            if len(value) != depth + 1:
                yield (
                    f"model.{name} must have one entry per row 0..{depth}, {depth + 1} in all; it has "
                    f"{len(value)}; use model.depth={len(value) - 1} or {depth + 1} entries"
                )
    elif len({len(value) for value in rows.values()}) > 1:
        yield (
            f"model.widths and model.dilation must have the same length, one entry per row; they have "
            f"{len(rows['widths'])} and {len(rows['dilation'])}; make them equal"
        )


def shared_dilation_rules(model: ModelConfig, train: TrainConfig) -> Iterator[str]:
    """The vectors fit the grid, are distinct and hold `model.dilation`; only they differ between networks."""
    vectors = model.shared_dilations
    if not vectors:
        return
    rows = {len(vector) for vector in vectors}
    needed = model.depth + 1 if isinstance(model.depth, int) else max(rows)
    if rows != {needed}:
        yield (
            f"model.shared_dilations must hold one entry per row 0..{needed - 1} in each vector, {needed} in "
            f"all; they have {sorted(rows)}; make each {needed} entries long"
        )
        return
    if len(set(vectors)) < len(vectors):
        yield "model.shared_dilations must not hold a vector twice; leave the repetitions out"
    own = model.dilation if isinstance(model.dilation, tuple) else (model.dilation,) * needed
    if own not in vectors:
        yield (
            f"model.dilation={list(own)} must be one of model.shared_dilations; use "
            f"model.dilation={list(vectors[0])}"
        )
    if model.norm == "batch":
        yield (
            "model.shared_dilations needs a norm without running statistics, which would be those of no one "
            "vector; model.norm=batch keeps some; use model.norm=group"
        )
    if train.compile:
        yield "model.shared_dilations compiles anew for each vector; use train.compile=false"


def _encoder_rules(model: ModelConfig) -> Iterator[str]:
    encoder, stride = model.encoder, model.stem_stride
    if model.spatial_dims == 3 and (encoder != "none" or stride > 1):
        yield (
            f"model.encoder={encoder} and model.stem_stride={stride} are for pictures; for volumes use "
            "model.encoder=none and model.stem_stride=1"
        )
    if encoder == "none":
        return
    if encoder not in ENCODERS and not is_file(encoder):
        yield (
            f"model.encoder={encoder} must be none, {', '.join(ENCODERS)}, or a path with / or .safetensors"
        )
    deepest = deepest_encoded(stride)
    if isinstance(model.depth, int) and model.depth > deepest:
        yield (
            f"model.encoder={encoder} ends at stride {2**ENCODER_ROWS}: model.depth={model.depth} with "
            f"model.stem_stride={stride} needs {stride * 2**model.depth}; use model.depth={deepest}"
        )
    if model.pool is not None and any(factor != 2 for row in model.pool for factor in row):
        yield f"model.encoder={encoder} halves both axes at every row; leave model.pool out"


def loss_rules(loss: LossConfig, model: ModelConfig) -> Iterator[str]:
    """At least one term of the pixel loss counts, each class has its weight, and a level its teacher."""
    if loss.class_weights and isinstance(model.num_classes, int):
        found, wanted = len(loss.class_weights), model.num_classes
        if found != wanted:
            yield f"loss.class_weights must have one entry per class, {wanted} in all; it has {found}"
    weights = {name: getattr(loss, name) for name in PIXEL_TERMS}
    if not any(weights.values()):
        named = ", ".join(f"loss.{name}=0" for name in weights)
        yield f"one loss weight must be above 0; all are 0 ({named}); use loss.dice=1"
    if loss.distill and not model.deep_supervision:
        yield (
            f"loss.distill={loss.distill:g} teaches shallower heads and needs model.deep_supervision=true, "
            "without which there is none; use loss.distill=0"
        )
    if loss.tversky and not loss.tversky_alpha + loss.tversky_beta:
        yield "loss.tversky needs tversky_alpha + tversky_beta above 0; both are 0; use 0.3 and 0.7"


def augment_rules(augment: AugmentConfig) -> Iterator[str]:
    """The range of zoom factors is not empty."""
    low, high = augment.scale
    if low > high:
        yield f"augment.scale must satisfy low <= high; it is ({low}, {high}); use (0.8, 1.25)"


def scale_rules(scale: ScaleConfig) -> Iterator[str]:
    """What a worker asks for exists, and nodes are described only where they are still to come."""
    workers = scale.workers
    if isinstance(workers, tuple) and workers[0] > workers[1]:
        yield f"scale.workers must be (min, max) with min <= max; it is {workers}; use (1, 2)"
    if scale.accelerator_type and scale.gpu is False:
        yield f"scale.accelerator_type={scale.accelerator_type} needs scale.gpu=true; leave one of them out"
    described = {name: getattr(scale, name) for name in ("node_cpus", "node_memory_gib", "node_gpus")}
    for name, value in described.items():
        if value and not scale.autoscaling:
            yield (
                f"scale.{name}={value:g} describes nodes that will come and needs scale.autoscaling=true; "
                "leave it out where they are there: they describe themselves"
            )
    gpus = scale.gpus_per_worker
    if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
        yield f"scale.gpus_per_worker={gpus:g} must be a part of one GPU or whole GPUs; use 0.5, 1 or auto"


def batch_rules(data: DataConfig, train: TrainConfig, workers: int) -> Iterator[str]:
    """The batch splits evenly over workers and accumulation passes."""
    batch, unit = data.batch_size, workers * train.accumulate
    if isinstance(batch, int) and batch % unit:
        divisor = f"scale.workers={workers}"
        if train.accumulate > 1:
            divisor += f" * train.accumulate={train.accumulate}"
        nearest = -(-batch // unit) * unit
        yield f"data.batch_size={batch} must be divisible by {divisor}; use {nearest}"


def memory_rules(train: TrainConfig, model: ModelConfig) -> Iterator[str]:
    """Nothing that is computed twice counts twice."""
    if train.memory == "recompute" and model.norm == "batch":
        yield (
            "train.memory=recompute must not compute model.norm=batch twice: its running statistics would "
            "count every image twice; use model.norm=group or train.memory=keep"
        )


def fold_rules(train: TrainConfig) -> Iterator[str]:
    """One fold would have nothing to learn from."""
    if train.folds == 1:
        yield "train.folds=1 leaves no row to train on; use 2 or more, or 0 for a single training"


def crop_rules(data: DataConfig, model: ModelConfig) -> Iterator[str]:
    """The crop survives every down-sampling."""
    crop, depth, stride = data.crop, model.depth, model.stem_stride
    if isinstance(crop, int) and isinstance(depth, int) and crop < stride * 2**depth:
        fits = (crop // stride).bit_length() - 1
        fix = f"model.depth<={fits} or data.crop>=" if fits >= 1 else "data.crop>="
        stem = f", model.stem_stride={stride}" if stride > 1 else ""
        yield (
            f"model.depth={depth} needs a crop of at least {stride * 2**depth} px; data.crop={crop}{stem}; "
            f"use {fix}{stride * 2**depth}"
        )


def tune_rules(tune: TuneConfig, train: TrainConfig) -> Iterator[str]:
    """Objectives are distinct, the sampler and the scheduler serve them, weights have one source."""
    if tune.inherit and train.init:
        yield (
            f"tune.inherit=true is a source of weights, and train.init={train.init} another; "
            "leave one of them out"
        )
    if tune.scheduler == "pbt":
        yield from _population_rules(tune, train)
    names = ",".join(tune.objectives)
    if len(set(tune.objectives)) < len(tune.objectives):
        unique = ",".join(dict.fromkeys(tune.objectives))
        yield f"tune.objectives=[{names}] must not name one twice; use [{unique}]"
    if len(tune.objectives) == 1:
        if tune.objectives[0] != "quality":
            yield f"tune.objectives=[{names}] alone is least for the smallest network; add quality"
        return
    if tune.patience:
        yield f"tune.patience counts from the best quality and needs one objective; tune.objectives=[{names}]"
    if tune.sampler == "cmaes":
        yield f"tune.sampler=cmaes serves one objective; tune.objectives=[{names}]; use tune.sampler=nsga2"
    if tune.scheduler == "median":
        yield f"tune.scheduler=median needs one objective; tune.objectives=[{names}]; use tune.scheduler=asha"


def _population_rules(tune: TuneConfig, train: TrainConfig) -> Iterator[str]:
    """Trials that exchange weights are equally far, and no sampler takes their results for its own."""
    if tune.sampler not in ("random", "qmc"):
        yield (
            f"tune.scheduler=pbt changes a trial's loss while it trains, so that tune.sampler={tune.sampler} "
            "would learn from results that are not those of what it drew; use tune.sampler=random"
        )
    if tune.inherit:
        yield "tune.scheduler=pbt and tune.inherit=true are two sources of weights; leave one of them out"
    if train.minutes:
        yield (
            f"tune.scheduler=pbt takes over weights of the same epoch; with train.minutes={train.minutes:g} "
            "trials are not equally far; give train.epochs"
        )
    if len(tune.objectives) > 1:
        yield "tune.scheduler=pbt ranks trials by quality alone; use tune.objectives=[quality]"
