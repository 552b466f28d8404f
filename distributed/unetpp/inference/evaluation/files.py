"""The files of one evaluation, below a run.

    evaluations/test.json                     scores, confusion matrix, what was evaluated
    evaluations/test/per_image.jsonl          one object per sample: sample_id, dice, iou, levels ...
    evaluations/test/per_image.parquet        the same as a table, with counts of pixels and scores by class
    evaluations/test/best-1.png, worst-1.png  panels: image, truth, prediction, errors

The name is the split's; with `-level<K>` where a level other than the deepest one was asked for,
`-dilation<D.D...>` where dilations were asked for of a run that shares its weights, and what else makes the
masks other than those that `predict` writes by itself: `-levels`, `-tta`, `-threshold<T>`, `-min<N>`; last
what was done to the images: `test-pgd-8x10`, `test-jpeg-3`.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unetpp.core.storage import Storage
from unetpp.inference.evaluation.examples import Example

__all__ = [
    "evaluation_name",
    "read_evaluations",
    "read_panel",
    "read_per_image",
    "read_table",
    "write_evaluation",
]

_FOLDER = "evaluations"
_TABLE = "per_image.parquet"


def evaluation_name(
    split: str, level: int | None, dilation: Sequence[int] | None = None, marks: Sequence[str] = ()
) -> str:
    """File stem of an evaluation.

    Args:
        split: that was scored.
        level: None for the run's deepest.
        dilation: None for the run's best.
        marks: what else differs.
    """
    parts = [split] if level is None else [split, f"level{level}"]
    if dilation is not None:
        parts.append(f"dilation{'.'.join(map(str, dilation))}")
    return "-".join([*parts, *marks])


def write_evaluation(
    run: Storage,
    name: str,
    summary: dict[str, Any],
    per_image: Sequence[dict[str, Any]],
    examples: dict[str, list[Example]],
    table: bytes | None = None,
) -> None:
    """Replace an evaluation; the summary goes last and names the panels.

    Args:
        examples: `best` and `worst` samples.
        table: the lines as a Parquet file.
    """
    # The summary vouches for the rest: without it, what is left of a killed evaluation is not read.
    run.delete(f"{_FOLDER}/{name}.json")
    run.delete(f"{_FOLDER}/{name}")
    lines = "".join(json.dumps(row) + "\n" for row in per_image)
    run.write(f"{_FOLDER}/{name}/per_image.jsonl", lines.encode())
    if table is not None:
        run.write(f"{_FOLDER}/{name}/{_TABLE}", table)
    listed: dict[str, list[dict[str, Any]]] = {}
    for kind, entries in examples.items():
        listed[kind] = []
        for number, example in enumerate(entries, start=1):
            file = f"{name}/{kind}-{number}.png"
            run.write(f"{_FOLDER}/{file}", example.panel)
            scored = example.scored
            listed[kind].append({"sample_id": scored.sample_id, "dice": scored.dice, "file": file})
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


def read_table(run: Storage, name: str) -> pa.Table:
    """The same with groups and counts, see `PerImage.table`."""
    return pq.read_table(pa.BufferReader(run.read(f"{_FOLDER}/{name}/{_TABLE}")))


def read_panel(run: Storage, file: str) -> bytes:
    """A panel PNG named in a summary's `examples`."""
    return run.read(f"{_FOLDER}/{file}")
