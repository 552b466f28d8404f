"""The other column of accuracy.py: nnU-Net's 2d configuration on the same packed datasets, minutes and split.

Its own fingerprint, plan, preprocessing, network, augmentation, deep supervision, optimiser, and prediction
without mirroring; the poly schedule follows the CPU time that is used rather than 1,000 epochs, and the plan
is that of a small GPU, whose batches are small. The last weights are scored at native size by the counts
that score ours. On a CPU nnU-Net computes in fp32. It runs in an environment of its own that has unetpp too:

    pip install nnunetv2==2.8.1
    python benchmarks/accuracy_nnunet.py --minutes 10 --work build/nnunet roads=data/camvid tiles=data/tiles
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accuracy_columns import HEADER, row_of, scores_of, set_parser
from common import markdown
from PIL import Image

from unetpp.core.manifest import IGNORE, Manifest
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.sample import Sample
from unetpp.inference.evaluate import choose_split

_PLANS, _STEPS_AN_EPOCH = "plans", 10
_MEMORY_GB = 1.0


def main() -> None:
    parser = set_parser(__doc__, "NAME=URI of a packed dataset of grey or colour pictures")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    folders = {name: arguments.work.absolute() / name for name in ("raw", "preprocessed", "results")}
    os.environ |= {f"nnUNet_{name}": str(folder) for name, folder in folders.items()}
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}  # planning fails with 0
    torch.set_num_threads(1)
    rows = []
    for number, entry in enumerate(arguments.sets, start=1):
        name, _, uri = entry.partition("=")
        rows.append((name, 0, *_train_and_score(number, name, uri, folders, arguments.minutes * 60)))
        print(rows[-1], file=sys.stderr, flush=True)
    print(markdown(HEADER, rows))


def _train_and_score(
    number: int, name: str, uri: str, folders: dict[str, Path], seconds: float
) -> tuple[Any, ...]:
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    storage = open_storage(uri)
    manifest = load_manifest(storage)
    dataset = f"Dataset{number:03}_{name}"
    _write_raw(storage, manifest, folders["raw"] / dataset)
    extract_fingerprints([number], num_processes=1, verbose=False)
    plan_experiments([number], gpu_memory_target_in_gb=_MEMORY_GB, overwrite_plans_name=_PLANS)
    preprocess([number], _PLANS, ("2d",), (1,))
    trainer, seen, spent_s = _train(folders["preprocessed"] / dataset, seconds)
    split = choose_split(manifest, None)
    samples = iter_samples(storage, manifest, split)
    return row_of(split, scores_of(manifest, _predicted(trainer, manifest, samples)), seen, spent_s)


def _write_raw(storage: Storage, manifest: Manifest, folder: Path) -> None:
    """The train split as PNG files in nnU-Net's layout."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index, sample in enumerate(iter_samples(storage, manifest, "train")):
        mask = np.where(sample.mask == IGNORE, _ignored(manifest), sample.mask).astype(np.uint8)
        Image.fromarray(sample.image.squeeze()).save(folder / "imagesTr" / f"case{index:05}_0000.png")
        Image.fromarray(mask).save(folder / "labelsTr" / f"case{index:05}.png")
    labels = {"background": 0} | {f"class{value}": value for value in range(1, _ignored(manifest))}
    if manifest.ignore_index is not None:
        labels["ignore"] = _ignored(manifest)
    described = {
        "channel_names": {str(channel): f"channel{channel}" for channel in range(manifest.channels)},
        "labels": labels,
        "numTraining": manifest.splits["train"].rows,
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(described))


def _ignored(manifest: Manifest) -> int:
    """The value after those of the classes."""
    return 2 if manifest.task == "binary" else manifest.num_classes


def _train(folder: Path, seconds: float) -> tuple[Any, int, float]:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plans = json.loads((folder / f"{_PLANS}.json").read_text()) | {"continue_training": False}
    described = json.loads((folder / "dataset.json").read_text())
    cases = sorted(path.stem for path in (folder / "gt_segmentations").iterdir())
    (folder / "splits_final.json").write_text(json.dumps([{"train": cases, "val": cases[:1]}]))
    trainer = nnUNetTrainer(plans, "2d", 0, described, torch.device("cpu"))
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augment in this process, whose time counts
    trainer.on_train_start()
    began_s, seen = time.process_time(), 0
    while (used := (time.process_time() - began_s) / seconds) < 1:
        trainer.current_epoch = round(used * trainer.num_epochs)
        trainer.on_train_epoch_start()
        for _ in range(_STEPS_AN_EPOCH):
            trainer.train_step(next(trainer.dataloader_train))
            seen += trainer.batch_size
    return trainer, seen, time.process_time() - began_s


def _predicted(
    trainer: Any, manifest: Manifest, samples: Iterable[Sample]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    for sample in samples:
        image = np.moveaxis(sample.image, -1, 0)[:, None].astype(np.float32)
        labels = torch.from_numpy(
            predictor.predict_single_npy_array(image, {"spacing": (999, 1, 1)})[0]
        ).long()
        if manifest.task == "binary":
            logits = (2.0 * labels - 1)[None, None]
        else:
            logits = torch.nn.functional.one_hot(labels, manifest.num_classes).permute(2, 0, 1)[None].float()
        yield logits, torch.from_numpy(sample.mask)[None]


if __name__ == "__main__":
    main()
