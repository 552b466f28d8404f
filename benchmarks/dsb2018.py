"""Nuclei (DSB2018): Dice and throughput of unetpp against a plain PyTorch loop, one machine, one run.

Packs the images at 128 px and trains the same network for the same number of epochs four times: the plain
loop, unetpp on two workers, unetpp as U-Net, and unetpp from S3. Prints the table of the README.

    python benchmarks/dsb2018.py --images DSB/images --masks DSB/masks --work build/dsb2018
"""

import argparse
from pathlib import Path
from typing import Any

from common import markdown, s3_server, script, unetpp

_SETTINGS = ("model.depth=3", "model.width=16", "data.batch_size=8", "optim.lr=0.002")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True)
    parser.add_argument("--masks", required=True)
    parser.add_argument("--work", required=True, type=Path, help="folder for the dataset and the runs")
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    work: Path = arguments.work
    settings = [*_SETTINGS, f"train.epochs={arguments.epochs}"]

    dataset = str(work / "dataset")
    if not (work / "dataset" / "manifest.json").exists():
        _pack(arguments, dataset, {})
    plain = script("plain_loop.py", "--data", dataset, *settings)
    nested = _train(dataset, str(work / "unetpp"), settings, {})
    unet = _train(dataset, str(work / "unet"), [*settings, "model.dense=unet"], {})
    with s3_server() as env:
        _pack(arguments, "s3://bench/dataset", env)
        remote = _train("s3://bench/dataset", "s3://bench/run", settings, env)

    header = ["training", "test Dice", "test IoU", "val Dice", "img/s", "of plain loop", "start-up s"]
    rows = [
        [
            "plain PyTorch loop, UNet++",
            plain["test"],
            plain["test_iou"],
            plain["val"],
            f"{plain['images_per_s']:.1f}",
            "1.00",
            "-",
        ]
    ]
    for name, result in (
        ("unetpp, UNet++, 2 workers", nested),
        ("unetpp, U-Net, 2 workers", unet),
        ("unetpp, UNet++, 2 workers, S3", remote),
    ):
        ratio = "-" if result is unet else f"{result['images_per_s'] / plain['images_per_s']:.2f}"
        rows.append(
            [name, result["test"]["dice"], result["test"]["iou"], result["metrics"]["dice"],
             f"{result['images_per_s']:.1f}", ratio, f"{result['start_up_seconds']:.1f}"]
        )  # fmt: skip
    print(markdown(header, rows))


def _pack(arguments: argparse.Namespace, out: str, env: dict[str, str]) -> None:
    folders = ("--images", arguments.images, "--masks", arguments.masks)
    unetpp(
        "data", "pack", *folders, "--out", out, "--size", "128", "--val", "0.15", "--test", "0.15", env=env
    )


def _train(dataset: str, out: str, settings: list[str], env: dict[str, str]) -> dict[str, Any]:
    result = unetpp("train", f"data.uri={dataset}", f"out={out}", "scale.workers=2", *settings, env=env)
    return result | {"test": unetpp("evaluate", out, "--split", "test", env=env)}


if __name__ == "__main__":
    main()
