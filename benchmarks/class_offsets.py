"""What an offset of each class's logit brings where the largest class wins, in place of thresholds.

Predicts the val split, chooses offsets by half of its images so that the mean IoU is highest (one class after
another, until nothing improves), scores them on the other half, and the other way round. Pixels are every
fourth along both axes.

    python benchmarks/class_offsets.py --run build/accuracy/roads-0
"""

import argparse
from typing import Any

import numpy as np
import torch
from common import markdown
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.predictor import Predictor
from unetpp.models.load import load_run

_STRIDE = 4
_STEPS = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
_ROUNDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="of a multiclass dataset with a val split")
    run = parser.parse_args().run
    torch.set_num_threads(1)
    logits, truths = _predicted(run)
    rows = []
    for chosen, scored in ((0, 1), (1, 0)):
        offsets = _chosen(logits[chosen], truths[chosen])
        plain = np.zeros_like(offsets)
        by_own = [_mean_iou(logits[chosen], truths[chosen], each) for each in (plain, offsets)]
        by_other = [_mean_iou(logits[scored], truths[scored], each) for each in (plain, offsets)]
        rows.append([f"half {chosen + 1}", *by_own, *by_other])
        print(np.round(offsets, 2).tolist())
    print(
        markdown(["chosen by", "own half, plain", "with offsets", "other half, plain", "with offsets"], rows)
    )


def _predicted(run: str) -> tuple[list[NDArray[np.float32]], list[NDArray[np.uint8]]]:
    """Of each half: log-probabilities (K, pixels) and true classes (pixels,) of pixels that count."""
    loaded = load_run(run)
    predictor = Predictor.of(run)
    data = open_storage(loaded.config.data.uri)
    found: list[list[tuple[Any, Any]]] = [[], []]
    for number, sample in enumerate(iter_samples(data, loaded.manifest, "val")):
        chances = predictor.predict(np.array(sample.image)).probabilities[:, ::_STRIDE, ::_STRIDE]
        truth = sample.mask[::_STRIDE, ::_STRIDE]
        counted = truth != IGNORE
        found[number % 2].append((np.log(np.maximum(chances[:, counted], 1e-8)), truth[counted]))
    logits = [np.concatenate([pair[0] for pair in half], axis=1) for half in found]
    return logits, [np.concatenate([pair[1] for pair in half]) for half in found]


def _chosen(logits: NDArray[np.float32], truth: NDArray[np.uint8]) -> NDArray[np.float32]:
    offsets = np.zeros(len(logits), np.float32)
    best = _mean_iou(logits, truth, offsets)
    for _ in range(_ROUNDS):
        before = best
        for k in range(len(logits)):
            for step in _STEPS:
                tried = offsets.copy()
                tried[k] += step
                if (score := _mean_iou(logits, truth, tried)) > best:
                    best, offsets = score, tried
        if best == before:
            break
    return offsets


def _mean_iou(logits: NDArray[np.float32], truth: NDArray[np.uint8], offsets: NDArray[np.float32]) -> float:
    classes = len(logits)
    predicted = (logits + offsets[:, None]).argmax(0)
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2).reshape(
        classes, classes
    )
    right = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - right
    return float((right[union > 0] / union[union > 0]).mean())


if __name__ == "__main__":
    main()
