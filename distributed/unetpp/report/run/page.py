"""One self-contained HTML page for one run."""

import base64
from pathlib import Path
from typing import Any

from markupsafe import Markup

from unetpp.models.cost import count_cost
from unetpp.report.numbers import score, size_text
from unetpp.report.page import render_page, write_page
from unetpp.report.run import beside_masks, sections
from unetpp.report.run.data import Panel, RunData, load_run_data
from unetpp.report.run.figures import confusion_svg, histogram_svg, lines_svg, reliability_svg

__all__ = ["render_run_report", "write_run_report"]

_LEVEL_CURVES = (("dice", "Dice"), ("iou", "IoU"))


def write_run_report(run_uri: str, out: Path | None = None) -> str:
    """Write the page and return where; default `report.html` in the run's own folder, also in a bucket.

    Raises:
        InputError: no run there.
    """
    data = load_run_data(run_uri)
    return write_page(render_run_report(data), data.uri, out)


def render_run_report(data: RunData) -> str:
    """The page as text; it refers to nothing outside itself."""
    evaluation = data.evaluation
    confusion = evaluation["confusion"] if evaluation is not None else None
    # Evaluations of earlier releases have none.
    calibration = evaluation.get("calibration") if evaluation is not None else None
    latency = evaluation["latency"] if evaluation is not None else None
    costs = count_cost(data.config.model, data.patch_px)
    return render_page(
        "run.html",
        title=data.config.name or data.uri.rpartition("/")[2],
        data=data,
        headline=[*sections.headline(data), *beside_masks.label_card(data)],
        commands=sections.next_commands(data),
        levels=sections.level_rows(data, costs),
        cost_size=size_text(data.patch_px),
        latency_size=size_text(latency["size_px"]) if latency is not None else "",
        latency=latency,
        device=evaluation["device"] if evaluation is not None else None,
        classes=sections.class_rows(data),
        labels=beside_masks.label_rows(data),
        disturbed=beside_masks.disturbed_rows(data),
        curves=[(title, Markup(svg)) for title, svg in _curves(data)],
        confusion=Markup(confusion_svg(confusion["labels"], confusion["counts"])) if confusion else None,
        calibration=Markup(reliability_svg(calibration["bins"])) if calibration else None,
        calibration_error=score(calibration["ece"]) if calibration else "",
        panels={kind: [_figure(p) for p in data.panels if p.kind == kind] for kind in ("best", "worst")},
        dataset=sections.dataset_facts(data),
        foreground=Markup(_foreground_svg(data)),
        config=sections.config_rows(data),
        provenance=sections.provenance_facts(data),
        timing=sections.timing_facts(data),
    )


def _figure(panel: Panel) -> dict[str, str]:
    source = "data:image/png;base64," + base64.b64encode(panel.png).decode()
    return {"sample_id": panel.sample_id, "dice": score(panel.dice), "source": source}


def _curves(data: RunData) -> list[tuple[str, str]]:
    """(title, SVG) over the finished epochs."""
    if not data.epochs:
        return []
    numbers = [epoch["epoch"] for epoch in data.epochs]
    curves = [("Training loss", lines_svg({"loss": (numbers, _column(data, "loss"))}, y_label="loss"))]
    validated = [epoch for epoch in data.epochs if epoch.get("val")]
    if validated:
        for key, title in _LEVEL_CURVES:
            curves.append((f"Validation {title}", _level_curve(validated, key, title)))
        if "image_labels" in validated[0]["val"]:
            curves.append(("Validation label accuracy", _label_curve(validated)))
    rates = lines_svg({"images/s": (numbers, _column(data, "images_per_s"))}, y_label="images per second")
    waits = [100 * wait for wait in _column(data, "data_wait")]
    waiting = lines_svg({"waiting": (numbers, waits)}, y_label="percent of training time")
    rate_curve = lines_svg({"lr": (numbers, _column(data, "lr"))}, y_label="learning rate")
    return [*curves, ("Throughput", rates), ("Waiting for data", waiting), ("Learning rate", rate_curve)]


def _column(data: RunData, key: str) -> list[float]:
    return [float(epoch[key]) for epoch in data.epochs]


def _level_curve(validated: list[dict[str, Any]], key: str, title: str) -> str:
    numbers = [epoch["epoch"] for epoch in validated]
    levels = validated[0]["val"]["levels"]
    series = {
        f"level {name}": (numbers, [epoch["val"]["levels"][name][key] for epoch in validated])
        for name in levels
    }
    return lines_svg(series, y_label=title)


def _label_curve(validated: list[dict[str, Any]]) -> str:
    numbers = [epoch["epoch"] for epoch in validated]
    values = [float(epoch["val"]["image_labels"]["accuracy"]) for epoch in validated]
    return lines_svg({"accuracy": (numbers, values)}, y_label="label accuracy")


def _foreground_svg(data: RunData) -> str:
    labels = [f"{10 * decile}" for decile in range(len(data.manifest.foreground_histogram))]
    rows = data.manifest.foreground_histogram
    return histogram_svg(labels, rows, x_label="foreground, from … % of the image", y_label="train rows")
