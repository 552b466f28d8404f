"""What a run's report says beside its masks: labels of whole images, and images that were made worse."""

from typing import Any

from unetpp.report.numbers import percent, score
from unetpp.report.run.data import RunData

__all__ = ["disturbed_rows", "label_card", "label_rows"]

Row = dict[str, str]


def label_rows(data: RunData) -> list[Row]:
    """One row a label of whole images: how many there were, and how well they were told."""
    labels = _labels(data)
    return [
        {
            "name": entry["name"],
            "images": str(entry["images"]),
            "precision": score(entry["precision"]),
            "recall": score(entry["recall"]),
        }
        for entry in (labels["classes"] if labels else [])
    ]


def label_card(data: RunData) -> list[tuple[str, str, str]]:
    """(label, value, note) for the top of the page; none where no image has a label."""
    labels = _labels(data)
    return [("Label accuracy", score(labels["accuracy"]), f"{labels['images']} images")] if labels else []


def _labels(data: RunData) -> dict[str, Any] | None:
    found: dict[str, Any] | None = data.scores.values.get("image_labels") if data.scores else None
    return found


def disturbed_rows(data: RunData) -> list[Row]:
    """One row an evaluation of attacked or corrupted images, beside that of the same images as they are."""
    rows = []
    for name, evaluation in sorted(data.evaluations.items()):
        done = evaluation.get("disturbance")
        if not done:
            continue
        plain = data.evaluations.get(_plain_name(name, evaluation))
        clean = plain["dice"] if plain is not None else None
        rows.append(
            {
                "what": done.get("attack") or done["corruption"].replace("_", " "),
                "strength": _strength(done),
                "split": f"{evaluation['split']}, level {evaluation['level']}",
                "dice": score(evaluation["dice"]),
                "clean": score(clean),
                "kept": percent(evaluation["dice"] / clean) if clean else "–",
            }
        )
    return rows


def _plain_name(name: str, evaluation: dict[str, Any]) -> str:
    """Of the evaluation whose images were left as they are."""
    return name.removesuffix("-" + evaluation["disturbance"]["suffix"])


def _strength(done: dict[str, Any]) -> str:
    if "corruption" in done:
        return f"severity {done['severity']} of 5"
    steps = "1 step" if done["steps"] == 1 else f"{done['steps']} steps"
    return f"at most {done['epsilon']:g} a pixel, {steps}"
