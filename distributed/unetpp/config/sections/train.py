"""Optimiser, training loop and scale."""

from typing import Literal

from pydantic import Field, field_validator

from unetpp.config.sections.base import AUTO, Auto, Count, Positive, Section

__all__ = ["OptimConfig", "ScaleConfig", "TrackerName", "TrainConfig"]


TrackerName = Literal["tensorboard", "mlflow", "wandb"]


class OptimConfig(Section):
    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """Adam with decoupled weight decay, Adam with L2 decay, or SGD with Nesterov momentum."""
    lr: Positive = 1e-3
    """Learning rate after the warm-up; SGD usually needs a larger one than Adam."""
    weight_decay: float = Field(1e-4, ge=0)
    """Decay of the weights, decoupled in adamw, an L2 penalty in adam and sgd; biases and norms have none."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Nesterov momentum of SGD."""
    encoder_lr_factor: Positive = 0.25
    """Learning rate of a pretrained encoder relative to `lr`; without an encoder it has no effect."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Factor by which the learning rate of the column X[row][0], the encoder where there is one, falls from
    each row to the one above it, which is nearer to the image; 1 gives all rows the same."""
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    """How the learning rate falls after the warm-up: half a cosine to 0, a power of what is left, or not."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Fraction of all steps over which the learning rate rises linearly."""
    poly_power: Positive = 0.9
    """Exponent of the poly schedule; 1 falls linearly."""


class TrainConfig(Section):
    epochs: Count = 20
    """Passes over the train split; without `minutes`."""
    minutes: float = Field(0.0, ge=0)
    """Minutes from the command to the last checkpoint, start-up and validations included; 0 goes by epochs.
    The learning rate falls with the time that is used, and the plan decides what the command leaves open."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the forward pass; auto is bf16 on GPUs and on CPUs that were measured to be
    faster in it (AMX, AVX512-BF16), the slowest of a cluster deciding; weights are always fp32."""
    compile: bool = False
    """Compile the network with torch.compile, which needs a C++ compiler on CPUs: a start slower by tens of
    seconds. Meant for GPUs; on CPUs it takes the place of gradients that are faster."""
    channels_last: bool = True
    """Keep images channels-last in memory, in which convolutions are faster on most devices."""
    memory: Literal["auto", "keep", "recompute"] = "auto"
    """Keep what the nodes of the network compute for the backward pass, or compute it again there: a third
    more arithmetic for about half the memory, with the same result. auto recomputes where a batch, or a
    single sample of a batch that is left open, does not fit otherwise."""
    accumulate: Count = 1
    """Forward-backward passes per optimiser step; divides each worker's share of the batch."""
    clip: float = Field(1.0, ge=0)
    """Largest gradient norm; 0 leaves gradients alone."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights; 0 keeps none."""
    sync_bn: bool | Auto = AUTO
    """Batch statistics over all workers, so that the number of workers changes nothing."""
    validate_every: Count | Auto = AUTO
    """Epochs between validations; auto is the least number with which they take at most a tenth of the time
    of the training steps, by the pixels of both. The last epoch is always validated."""
    patience: int = Field(0, ge=0)
    """Validations without a better `tune.metric`, Dice unless given, before training stops; 0 never does."""
    checkpoint_every_steps: int = Field(0, ge=0)
    """Optimiser steps between checkpoints inside an epoch; 0 leaves it to the minutes."""
    checkpoint_minutes: float = Field(10.0, ge=0)
    """Minutes between checkpoints inside an epoch, at most so much work is lost; 0 leaves it to the steps."""
    keep_checkpoints: Count = 2
    """Latest checkpoints kept beside the best one."""
    max_nonfinite: int = Field(10, ge=0)
    """Steps with a NaN or Inf loss or gradient that are skipped before the run fails."""
    init: str = ""
    """Run, export or safetensors file whose weights, where name and shape fit, a new run starts with."""
    freeze: int = Field(0, ge=0)
    """Epochs at the start in which the column X[row][0] does not learn: the encoder where there is one."""
    folds: int = Field(0, ge=0)
    """Trainings of a cross-validation, one after another, each of which validates on another part of the
    train and val rows; 0 trains once. Rows of one group stay together, dealt by `data.seed`; `epochs` and
    `minutes` are those of each fold."""
    seed: int = Field(0, ge=0)
    """Seed of the weights, of dropout, and of the vectors that a step draws from `model.shared_dilations`."""
    sandwich: bool = False
    """Whether a step trains the smallest, the largest and a random one of `model.shared_dilations`, at three
    times the cost, rather than one random vector."""
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Experiment trackers beside metrics.jsonl; mlflow and wandb need their extras."""

    @property
    def counted_epochs(self) -> int:
        """Epochs of the run where it goes by them, else 0."""
        return 0 if self.minutes > 0 else self.epochs


class ScaleConfig(Section):
    workers: Count | tuple[Count, Count] = 1
    """DDP workers, or (min, max) for an elastic number."""
    gpu: bool | Auto = AUTO
    """Whether workers train on GPUs."""
    gpus_per_worker: Positive | Auto = AUTO
    """GPUs that Ray reserves for each worker; a part such as 0.5 lets two workers share one. Ray counts parts
    and does not enforce them: a worker is planned to need no more than its part of the device's memory, and
    one that takes more can leave its neighbours without."""
    accelerator_type: str = ""
    """GPU model that workers need, as Ray names it, such as A100 or H100; empty takes any."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Nodes that workers may use, by Ray's labels, such as {ray.io/market-type: "!spot"}; empty takes all."""
    autoscaling: bool = False
    """Whether the cluster adds nodes when they are asked for: what finds no place waits for one."""
    node_cpus: float = Field(0.0, ge=0)
    """CPUs of a node that autoscaling adds; 0 is not known."""
    node_memory_gib: float = Field(0.0, ge=0)
    """Memory of a node that autoscaling adds; 0 is not known and sets no limit."""
    node_gpus: int = Field(0, ge=0)
    """GPUs of a node that autoscaling adds."""
    node_gpu_memory_gib: float = Field(0.0, ge=0)
    """Memory of a GPU where the cluster cannot tell, or has no such node yet; 0 sets no limit."""
    cpus_per_worker: Positive | Auto = AUTO
    """Logical CPUs that Ray reserves for each worker."""
    address: str | None = None
    """Address of a running Ray cluster; without it, or with none, Ray starts inside this process."""
    max_failures: int = Field(2, ge=0)
    """Restarts of the worker group after a lost worker."""

    @field_validator("address", mode="before")
    @classmethod
    def _none_is_none(cls, value: object) -> object:
        return None if value in ("", "none") else value
