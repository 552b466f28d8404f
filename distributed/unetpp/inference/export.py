"""One file that holds a trained network, pruned to the level that is used; it is checked to predict alike.

The suffix chooses the engine, see `engines.registry`. All files take raw pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

import unetpp
from unetpp.config.dilations import Network, scored_networks
from unetpp.config.symmetries import Symmetries
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.engine import Description
from unetpp.inference.engines.exported import ExportedModel
from unetpp.inference.engines.real_images import CALIBRATING, validation_images
from unetpp.inference.engines.registry import engine_module, files_of, has_exact, load_engine
from unetpp.inference.masks.kept import kept_thresholds
from unetpp.inference.predictor import masks_from_logits
from unetpp.models.load import LoadedRun, asked_level, load_whole

__all__ = ["Precision", "compare_file", "describe", "export_run", "file_bytes", "refuse_existing"]

Precision = Literal["float32", "int8"]

_QUANTISED = (".onnx", ".xml")
_CHECKED = 3
"""Images that a written file is checked on."""


def export_run(
    run_uri: str,
    out: Path,
    *,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    precision: Precision = "float32",
    licence: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a run's best model, pruned to a level, read it back and compare it with the run.

    Images of the validation split are compared, at three sizes; noise where the dataset cannot be read.

    Args:
        level: head to keep; None for the deepest.
        dilation: see `load_run`.
        precision: of the convolutions; int8 for ONNX and OpenVINO, with ranges from validation images.
        licence: of the weights, such as CC-BY-4.0; written into the file.
        overwrite: replace a file that exists.

    Returns:
        file, level, bytes; max_abs_diff and differing: how far logits are from those of the same head of the
        full network in float32, and the part of the pixels whose class is another when the file predicts as
        fast as it can here; checked_px, the sizes of the images.

    Raises:
        ConfigError: unknown suffix, its engine is not installed, no such level, or int8 of a file without it.
        InputError: int8 is asked for and the dataset cannot be read.
        ExistsError: the file exists and must not be replaced.
    """
    engine = engine_module(out)
    refuse_existing(out, overwrite=overwrite)
    if precision == "int8" and out.suffix not in _QUANTISED:
        raise ConfigError(f"--precision int8 needs a file of {' or '.join(_QUANTISED)}; {out} is another")
    run = load_whole(run_uri, dilation=dilation)
    head = asked_level(run.model, level, dilation)
    exported = ExportedModel(run.normalise, run.model.at_level(head)).eval()
    description = describe(run_uri, run, {"level": head, "precision": precision, "licence": licence})
    out.parent.mkdir(parents=True, exist_ok=True)
    if precision == "int8":
        # ONNX takes seconds to import.
        from unetpp.inference.engines.quantise import write_int8

        write_int8(exported, out, description, list(validation_images(run, CALIBRATING)))
    else:
        engine.write(exported, out, description)
    return {
        "file": str(out),
        "level": head,
        **{key: rows[: head + 1] for key, rows in run.chosen.items()},
        "bytes": file_bytes(out),
        **compare_file(run, head, out),
    }


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Leave what is there.

    Raises:
        ExistsError: the file exists.
    """
    if out.exists() and not overwrite:
        raise ExistsError(f"{out} exists; name another --out or replace it with --overwrite")


def _scores(run_uri: str, step: int, network: Network) -> dict[str, float]:
    """Of the network, as validated when the checkpoint was made."""
    for epoch in RunDir(run_uri).read_metrics():
        if epoch.get("step") == step and "val" in epoch:
            scores = next((values for found, values in scored_networks(epoch) if found == network), {})
            return {name: value for name, value in scores.items() if isinstance(value, float)}
    return {}


def describe(run_uri: str, run: LoadedRun, given: Mapping[str, Any]) -> Description:
    """What a file of a run says of itself.

    Args:
        run_uri: where the run lies.
        run: with all its heads.
        given: level, precision and licence.
    """
    manifest, head = run.manifest, int(given["level"])
    rows = tuple(run.chosen["dilation"][: head + 1]) if run.chosen else None
    return Description(
        **given,
        version=unetpp.__version__,
        task=manifest.task,
        classes=[entry.model_dump(mode="json") for entry in manifest.classes],
        threshold=None if manifest.task == "multiclass" else 0.5,
        manifest=manifest.model_copy(update={"splits": {}}),
        window_px=run.config.window_px,
        patch_px=run.config.patch_px,
        size_multiples=run.model.at_level(head).size_multiples,
        step=run.step,
        metrics=_scores(run_uri, run.step, (head, rows)),
        symmetries=Symmetries.of(run.config.augment, manifest.spatial_dims),
        # They were chosen for a run's only network.
        thresholds=() if rows else kept_thresholds(RunDir(run_uri), run.step, head),
    )


def _probes(run: LoadedRun) -> Iterator[Tensor]:
    """Raw float32 (1, C, *size) of three sizes, none of them a multiple of anything."""
    try:
        images = list(validation_images(run, _CHECKED))
    except InputError:
        generator = torch.Generator().manual_seed(0)
        sides = (75, 50, 64)[: run.manifest.spatial_dims]
        # Values spread as the training pixels are, so that the logits have their usual size.
        noise = torch.randn(_CHECKED, run.manifest.channels, *sides, generator=generator)
        images = list(run.normalise.inverse(noise).split(1))
    for index, image in enumerate(images):
        # The whole, and two cuts.
        for axis, side in enumerate(image.shape[2:], start=2):
            image = image.narrow(axis, 0, max(1, side - index * (side // 3 + axis)))
        yield image


@torch.inference_mode()
def compare_file(run: LoadedRun, head: int, out: Path) -> dict[str, Any]:
    """max_abs_diff, differing and checked_px of a file, see `export_run`."""
    exact = load_engine(out, exact=True)
    fast = load_engine(out) if has_exact(out) else exact
    index, task = run.model.supervised_levels.index(head), run.manifest.task
    largest, differing, pixels, sizes_px = 0.0, 0, 0, []
    for image in _probes(run):
        expected = run.model(run.normalise(image)).levels[index]
        found = exact.logits(image)
        largest = max(largest, float((found - expected).abs().max()))
        quick = found if fast is exact else fast.logits(image)
        masks = [masks_from_logits(logits, task) for logits in (expected, quick)]
        differing += int((masks[0] != masks[1]).sum())
        pixels += masks[0].numel()
        sizes_px.append(list(image.shape[2:]))
    return {"max_abs_diff": largest, "differing": differing / pixels, "checked_px": sizes_px}


def file_bytes(out: Path) -> int:
    """Of a file, and of OpenVINO's weights beside it."""
    return sum(file.stat().st_size for file in files_of(out))
