"""What a run's report says, as plain rows and text; no HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from unetpp.config.load import flatten
from unetpp.core.commands import shown_command
from unetpp.core.rundir import epochs_done
from unetpp.models.cost import Cost
from unetpp.report.numbers import bytes_text, count_text, duration_text, percent, score, significant
from unetpp.report.run.data import RunData

__all__ = [
    "class_rows",
    "config_rows",
    "dataset_facts",
    "epochs_text",
    "headline",
    "level_rows",
    "next_commands",
    "provenance_facts",
    "smallest_good_level",
    "timing_facts",
]

_GOOD_ENOUGH_DICE = 0.005
"""A shallower level this close to the best one is proposed for export."""

Row = dict[str, str]
Facts = list[tuple[str, str]]


def headline(data: RunData) -> list[tuple[str, str, str]]:
    """(label, value, note) of the numbers at the top."""
    scores = data.scores
    cards: list[tuple[str, str, str]] = []
    if scores is not None:
        values = scores.values
        over = "macro over classes" if len(data.manifest.classes) > 1 else "of the foreground"
        cards += [
            ("Dice", score(values["dice"]), scores.source + _interval(values, "dice")),
            ("IoU", score(values["iou"]), scores.source + _interval(values, "iou")),
            ("Precision", score(values["precision"]), over),
            ("Recall", score(values["recall"]), over),
            ("Dice per image", score(values["dice_per_image"]), "mean over images"),
        ]
    seconds = sum(float(epoch["seconds"]) for epoch in data.epochs)
    state = "finished" if data.result is not None else "unfinished"
    cards += [
        ("Epochs", epochs_text(data.epochs, data.config.train.model_dump()), state),
        ("Training", duration_text(seconds) if data.epochs else "–", "all finished epochs"),
    ]
    skipped = data.epochs[-1].get("nonfinite_steps", 0) if data.epochs else 0
    if skipped:
        cards.append(("Steps skipped", str(skipped), "for a NaN or Inf gradient; in no epoch's loss"))
    return cards


def epochs_text(metrics: Sequence[Mapping[str, Any]], train: Mapping[str, Any]) -> str:
    """How far a run is, of its epochs or its minutes; `train` is that section of its configuration."""
    minutes = train.get("minutes")
    return f"{epochs_done(metrics)} " + (f"in {minutes:g} minutes" if minutes else f"of {train['epochs']}")


def _interval(values: Mapping[str, Any], name: str) -> str:
    """Validations and evaluations of earlier releases have none."""
    found = values.get("intervals", {}).get(name)
    return "" if found is None else f"; 95 % interval {score(found[0])} to {score(found[1])}"


def level_rows(data: RunData, costs: Mapping[int, Cost]) -> list[dict[str, Any]]:
    """One row a level: what it scores and what it costs."""
    levels: Mapping[str, Any] = data.scores.values["levels"] if data.scores is not None else {}
    # Only a run by itself is timed.
    latency: Mapping[str, Any] = (data.evaluation or {}).get("latency") or {}
    chosen = smallest_good_level(levels)
    rows = []
    for level, cost in sorted(costs.items()):
        scored = levels.get(str(level), {})
        rows.append(
            {
                "level": str(level),
                "dice": score(scored.get("dice")),
                "iou": score(scored.get("iou")),
                "dice_per_image": score(scored.get("dice_per_image")),
                "params": count_text(cost.params),
                "macs": count_text(cost.macs),
                "time": duration_text(latency.get("levels_s", {}).get(str(level))),
                "chosen": level == chosen,
            }
        )
    return rows


def smallest_good_level(levels: Mapping[str, Any]) -> int | None:
    """The shallowest level whose Dice is within 0.005 of the best level's."""
    if not levels:
        return None
    dice = {int(name): float(values["dice"]) for name, values in levels.items()}
    return min(level for level, value in dice.items() if value >= max(dice.values()) - _GOOD_ENOUGH_DICE)


def class_rows(data: RunData) -> list[dict[str, Any]]:
    """One row a class: its scores, its colour and its share of the training pixels."""
    if data.scores is None:
        return []
    colours = {entry.name: entry.colour for entry in data.manifest.classes}
    shares = dict(zip(colours, _class_shares(data), strict=True))
    return [
        {
            "name": entry["name"],
            "colour": "#{:02x}{:02x}{:02x}".format(*colours[entry["name"]]),
            "dice": score(entry["dice"]),
            "iou": score(entry["iou"]),
            "precision": score(entry["precision"]),
            "recall": score(entry["recall"]),
            "share": percent(shares[entry["name"]]),
        }
        for entry in data.scores.values["classes"]
    ]


def dataset_facts(data: RunData) -> Facts:
    """What the run was trained on."""
    manifest = data.manifest
    sizes = sorted(manifest.sizes.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{size} ({rows})" for size, rows in sizes[:4])
    shares = zip(manifest.classes, _class_shares(data), strict=True)
    # Splits of a fold are parts of the same shards.
    held = {shard.name: shard.bytes for split in manifest.splits.values() for shard in split.shards}
    return [
        ("URI", data.config.data.uri),
        ("Task", manifest.task),
        ("Classes", ", ".join(f"{entry.name} {percent(share)}" for entry, share in shares)),
        ("Rows", ", ".join(f"{name} {split.rows}" for name, split in manifest.splits.items())),
        ("Bytes", bytes_text(sum(held.values()))),
        ("Sizes (rows)", shown + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else "")),
        ("Pixels", f"{manifest.dtype}, channels: {manifest.channels}"),
        ("Version", manifest.version),
        ("Fingerprint", manifest.fingerprint),
        ("Packed by", manifest.command),
    ]


def config_rows(data: RunData) -> list[Row]:
    """Every field of the effective configuration, with the reason where it was decided automatically."""
    reasons = {str(decision["field"]): str(decision["reason"]) for decision in data.decisions}
    return [
        {"field": name, "value": significant(value), "reason": reasons.get(name, "")}
        for name, value in flatten(data.config).items()
    ]


def provenance_facts(data: RunData) -> Facts:
    """What produced the run."""
    facts = []
    for name, value in data.provenance.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        facts.append((name.replace("_", " "), "unknown" if value is None else str(value)))
    return facts


def timing_facts(data: RunData) -> Facts:
    """Where the training's time went."""
    if not data.epochs:
        return []
    seconds = [float(epoch["seconds"]) for epoch in data.epochs]
    rates = [float(epoch["images_per_s"]) for epoch in data.epochs]
    waits = [float(epoch["data_wait"]) for epoch in data.epochs]
    return [
        ("Seconds per epoch", f"{sum(seconds) / len(seconds):.1f}"),
        ("Images per second", f"{sum(rates) / len(rates):.1f} mean, {max(rates):.1f} best"),
        ("Waiting for data", f"{percent(sum(waits) / len(waits))} of training time"),
        ("Shard cache", _cache_text(data)),
    ]


def _cache_text(data: RunData) -> str:
    if not data.config.data.cache_bytes:
        return "off"
    epochs = [epoch["cache"] for epoch in data.epochs]
    fetched, saved = (int(sum(epoch[key] for epoch in epochs)) for key in ("bytes_fetched", "bytes_saved"))
    return (
        f"{bytes_text(fetched)} fetched, {bytes_text(saved)} saved; "
        f"{percent(epochs[-1]['hit_rate'])} of the shards hit in the last epoch"
    )


def next_commands(data: RunData) -> list[tuple[str, str]]:
    """(purpose, command) to copy."""
    uri = data.uri
    commands: list[tuple[str, str]] = []
    if data.result is None:
        commands.append(("Continue the training", shown_command("train", f"out={uri}", "--resume")))
    if not data.epochs and not data.evaluations:
        return commands  # there is no checkpoint yet
    splits = [name for name in ("test", "val") if _has_rows(data, name) and name not in data.evaluations]
    commands += [
        (f"Score the {split} split", shown_command("evaluate", uri, "--split", split)) for split in splits
    ]
    level = smallest_good_level(data.scores.values["levels"]) if data.scores is not None else None
    cut = [] if level is None else ["--level", level]
    commands += [
        (
            "Segment a folder of images",
            shown_command("predict", uri, "IMAGES", "--out", "masks", "--overlay"),
        ),
        ("Ship the network", shown_command("export", uri, "--out", "model.safetensors", *cut)),
        ("Compare with another run", shown_command("compare", uri, "OTHER_RUN")),
    ]
    return commands


def _class_shares(data: RunData) -> list[float]:
    """Share of the training pixels per class; of a binary task only the foreground is listed."""
    pixels = data.manifest.class_pixels
    # Multiclass: ignored pixels are no part of the whole.
    total = sum(pixels) if data.manifest.task == "multiclass" else data.train_pixels
    return [count / max(total, 1) for count in pixels]


def _has_rows(data: RunData, split: str) -> bool:
    return split in data.manifest.splits and data.manifest.splits[split].rows > 0
