"""unetpp demo: from nothing to a trained, evaluated and reported model on made-up cells."""

import itertools
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from unetpp.cli.terminal.output import Json, emit, note
from unetpp.core.commands import shown_command

__all__ = ["register"]

_IMAGES = 240
_SIDE_PX = 128
_OVERRIDES = (
    "data.batch_size=8",
    "model.depth=3",
    "model.width=8",
    "optim.lr=0.003",
    "train.epochs=12",
    "scale.workers=2",
)


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def demo(
        out: Annotated[Path, typer.Option(help="Folder for images, dataset and runs.")] = Path("demo"),
        json: Json = False,
    ) -> None:
        """Make synthetic cells, pack them, train UNet++ on two workers, evaluate and report."""
        emit(_demo(out), json=json)


def _demo(out: Path) -> dict[str, Any]:
    from unetpp.cli.verbs.train import run_training
    from unetpp.config.load import load_config
    from unetpp.inference.evaluate import evaluate
    from unetpp.report.run.page import write_run_report

    started_s = time.monotonic()
    dataset = _dataset(out)
    run = _free_folder(out)
    result = run_training(load_config(None, [*_OVERRIDES, f"data.uri={dataset}", f"out={run}"]))
    scores = evaluate(str(run), split="test")
    report = write_run_report(str(run))
    note(f"test Dice {scores['dice']:.4f}  IoU {scores['iou']:.4f} over {scores['rows']} images")
    note(f"report   {report}")
    note(f"overlays {run}/evaluations/test")
    note("next:")
    for line in _next_commands(out, run, dataset):
        note(f"  {line}")
    return {
        "run": result["run"],
        "report": str(report),
        "dice": scores["dice"],
        "iou": scores["iou"],
        "seconds": round(time.monotonic() - started_s, 1),
    }


def _next_commands(out: Path, run: Path, dataset: Path) -> list[str]:
    return [
        shown_command("predict", run, out / "cells" / "images", "--out", out / "predicted", "--overlay"),
        shown_command("export", run, "--out", out / "model.safetensors", "--level", 2),
        shown_command("train", f"data.uri={dataset}", f"out={out / 'unet'}", "model.dense=unet"),
        shown_command(
            "data", "pack", "--images", "IMAGES", "--masks", "MASKS", "--out", "DATASET", "--size", 256
        ),
    ]


def _dataset(out: Path) -> Path:
    from unetpp.core.manifest import MANIFEST_POINTER
    from unetpp.data.pack.discover import SourceFolder
    from unetpp.data.pack.options import PackOptions
    from unetpp.data.pack.pack import pack
    from unetpp.data.synthetic import make_cells

    dataset = out / "dataset"
    if (dataset / MANIFEST_POINTER).exists():
        note(f"using the dataset at {dataset}")
        return dataset
    note(f"drawing {_IMAGES} images of touching cells")
    cells = out / "cells"
    make_cells(cells, count=_IMAGES, size_px=_SIDE_PX, seed=0)
    folder = SourceFolder(str(cells / "images"), str(cells / "masks"), None)
    pack([folder], str(dataset), PackOptions(val=0.15, test=0.15))
    return dataset


def _free_folder(out: Path) -> Path:
    names = (out / f"run-{number}" for number in itertools.count(1))
    return next(path for path in names if not path.exists())
