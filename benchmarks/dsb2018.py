"""Nuclei (DSB2018): Dice and throughput of unetpp against a plain PyTorch loop on one machine.

Packs the images at 128 px and trains for the same number of epochs three times: the plain loop in fp32,
unetpp on two workers, and unetpp as U-Net. What `--work` holds already is not run again. Prints the README's
table.

    python benchmarks/dsb2018.py --images DSB/images --masks DSB/masks --work build/dsb2018
"""

import argparse
import json
from pathlib import Path
from typing import Any

from common import markdown, script, unetpp

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
        folders = ("--images", arguments.images, "--masks", arguments.masks)
        unetpp("data", "pack", *folders, "--out", dataset, "--size", "128", "--val", "0.15", "--test", "0.15")
    plain = _plain(work / "plain.json", dataset, [*settings, "train.precision=fp32"])
    nested = _train(dataset, work / "unetpp", settings)
    unet = _train(dataset, work / "unet", [*settings, "model.dense=unet"])

    header = ["training", "test Dice", "test IoU", "val Dice", "img/s", "of plain loop", "start-up s"]
    rate = plain["images_per_s"]
    scores = (plain["test"], plain["test_iou"], plain["val"])
    rows = [["plain loop, UNet++, fp32", *scores, f"{rate:.1f}", "1.00", "-"]]
    for name, result in (("unetpp, UNet++, 2 workers", nested), ("unetpp, U-Net, 2 workers", unet)):
        ratio = f"{result['images_per_s'] / rate:.2f}" if result is nested else "-"
        scores = (result["test"]["dice"], result["test"]["iou"], result["metrics"]["dice"])
        rows.append(
            [name, *scores, f"{result['images_per_s']:.1f}", ratio, f"{result['start_up_seconds']:.1f}"]
        )
    print(markdown(header, rows))
    levels = [[k, v["dice"], v["iou"]] for k, v in nested["test"]["levels"].items()]
    print(markdown(["level of the UNet++ run", "test Dice", "test IoU"], levels))


def _plain(kept: Path, dataset: str, settings: list[str]) -> dict[str, Any]:
    if not kept.exists():
        kept.write_text(json.dumps(script("plain_loop.py", "--data", dataset, *settings)))
    result: dict[str, Any] = json.loads(kept.read_text())
    return result


def _train(dataset: str, out: Path, settings: list[str]) -> dict[str, Any]:
    result_file = out / "result.json"
    if not result_file.exists():
        unetpp("train", f"data.uri={dataset}", f"out={out}", "scale.workers=2", *settings)
    test_file = out / "evaluations" / "test.json"
    if not test_file.exists():
        unetpp("evaluate", str(out), "--split", "test")
    result: dict[str, Any] = json.loads(result_file.read_text())
    return result | {"test": json.loads(test_file.read_text())}


if __name__ == "__main__":
    main()
