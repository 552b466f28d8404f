"""What a decided configuration needs from its dataset and its hardware, as rule, value, fix."""

from collections.abc import Iterator

from unetpp.config.adversarial import missing_epsilon
from unetpp.config.planning.hardware import Hardware, gpu_places
from unetpp.config.run import RunConfig
from unetpp.config.sections.tune import LABEL_METRICS
from unetpp.core.manifest import Manifest

__all__ = ["check_dataset", "check_hardware"]


def check_dataset(config: RunConfig, manifest: Manifest) -> Iterator[str]:
    """Channels, classes, rows and dimensions agree with the manifest."""
    model = config.model
    expected = (
        ("in_channels", model.in_channels, manifest.channels),
        ("num_classes", model.num_classes, manifest.num_classes),
    )
    for name, value, needed in expected:
        if value != needed:
            yield f"model.{name}={value} must equal the dataset's {needed}; use {needed} or auto"
    if model.spatial_dims != manifest.spatial_dims:
        kind = "volumes" if manifest.spatial_dims == 3 else "pictures"
        yield (
            f"model.spatial_dims={model.spatial_dims}: the dataset holds {kind}; "
            f"use model.spatial_dims={manifest.spatial_dims}"
        )
    elif manifest.spatial_dims == 2 and config.data.crop_depth is not None:
        yield f"data.crop_depth={config.data.crop_depth} is for volumes, not for pictures; leave it out"
    labels = len(manifest.image_labels)
    if model.image_classes not in (0, labels):
        yield f"model.image_classes={model.image_classes} must be 0 or the dataset's {labels}; use auto"
    if config.tune.metric in LABEL_METRICS and not model.image_classes:
        yield (
            f"tune.metric={config.tune.metric} needs a head for labels of whole images; "
            f"model.image_classes={model.image_classes} for the dataset's {labels} labels; pack with "
            "image_labels in a classes file, or use tune.metric=dice"
        )
    if config.adversarial.attack != "none":
        missing = missing_epsilon(config.adversarial.epsilon, manifest, "adversarial.epsilon")
        yield from () if missing is None else (missing,)
    rows = manifest.splits["train"].rows
    if rows < config.max_workers:
        yield (
            f"the train split needs a row for each worker; it has {rows} for "
            f"scale.workers={config.max_workers}; use scale.workers={rows}"
        )
    elif config.data.drop_last and rows < int(config.data.batch_size):
        yield (
            f"data.drop_last leaves no batch of data.batch_size={config.data.batch_size} in {rows} rows; "
            "use data.drop_last=false"
        )


def check_hardware(config: RunConfig, hardware: Hardware) -> Iterator[str]:
    """GPUs and CPUs suffice; a cluster given by its address may still grow and is not judged."""
    if config.scale.address is not None:
        return
    workers, each = config.min_workers, float(config.scale.gpus_per_worker)
    if config.scale.gpu and gpu_places(hardware.gpus, each) < workers:
        yield (
            f"scale.gpu=true needs scale.gpus_per_worker={each:g} for each worker; scale.workers={workers}, "
            f"GPUs={hardware.gpus:g}; use scale."
            + ("gpus_per_worker=auto to share them" if hardware.gpus else "gpu=false")
        )
    reserved = float(config.scale.cpus_per_worker) * workers
    if reserved > hardware.cpus:
        yield (
            f"scale.workers={workers} * scale.cpus_per_worker={config.scale.cpus_per_worker:g} must not "
            f"exceed the {hardware.cpus:g} CPU(s) here; use scale.cpus_per_worker=auto"
        )
