"""The files of one evaluation, below a run.

    evaluations/test.json                     scores, confusion matrix, what was evaluated
    evaluations/test/per_image.jsonl          one object per sample: sample_id, dice, iou, levels
    evaluations/test/best-1.png, worst-1.png  panels: image, truth, prediction, errors

The name is the split's; `<split>-level<K>` where a level other than the deepest one was asked for,
with `-dilation<D.D...>` after it where dilations were asked for of a run that shares its weights, and last
what was done to the images: `test-pgd-8x10`, `test-jpeg-3`.
"""

import json
from collections.abc import Sequence
from typing import Any

from unetpp.core.storage import Storage
from unetpp.inference.evaluation.examples import Example

__all__ = [
    "evaluation_name",
    "read_evaluations",
    "read_panel",
    "read_per_image",
    "write_evaluation",
]

_FOLDER = "evaluations"


def evaluation_name(split: str, level: int | None, dilation: Sequence[int] | None = None) -> str:
    """File stem of an evaluation; `level` is None for the run's deepest, `dilation` for its best."""
    name = split if level is None else f"{split}-level{level}"
    return name if dilation is None else f"{name}-dilation{'.'.join(map(str, dilation))}"


def write_evaluation(
    run: Storage,
    name: str,
    summary: dict[str, Any],
    per_image: Sequence[dict[str, Any]],
    examples: dict[str, list[Example]],
) -> None:
    """Replace an evaluation; the summary goes last and names the panels.

    Args:
        examples: `best` and `worst` samples.
    """
    # The summary vouches for the rest: without it, what is left of a killed evaluation is not read.
    run.delete(f"{_FOLDER}/{name}.json")
    run.delete(f"{_FOLDER}/{name}")
    lines = "".join(json.dumps(row) + "\n" for row in per_image)
    run.write(f"{_FOLDER}/{name}/per_image.jsonl", lines.encode())
    listed: dict[str, list[dict[str, Any]]] = {}
    for kind, entries in examples.items():
        listed[kind] = []
        for number, example in enumerate(entries, start=1):
            file = f"{name}/{kind}-{number}.png"
            run.write(f"{_FOLDER}/{file}", example.panel)
            listed[kind].append({"sample_id": example.sample_id, "dice": example.dice, "file": file})
    run.write(f"{_FOLDER}/{name}.json", json.dumps(summary | {"examples": listed}, indent=1).encode())


def read_evaluations(run: Storage) -> dict[str, dict[str, Any]]:
    """Summaries of all evaluations by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in run.list(f"{_FOLDER}/"):
        if path.count("/") == 1 and path.endswith(".json"):
            found[path.removeprefix(f"{_FOLDER}/").removesuffix(".json")] = json.loads(run.read(path))
    return found


def read_per_image(run: Storage, name: str) -> list[dict[str, Any]]:
    """The per-sample scores of one evaluation."""
    return [json.loads(line) for line in run.read(f"{_FOLDER}/{name}/per_image.jsonl").splitlines()]


def read_panel(run: Storage, file: str) -> bytes:
    """A panel PNG named in a summary's `examples`."""
    return run.read(f"{_FOLDER}/{file}")
