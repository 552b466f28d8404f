"""What `evaluate` prints."""

from typing import Any

import typer

from unetpp.cli.terminal.disturbance import disturbed_by
from unetpp.cli.terminal.output import note
from unetpp.cli.terminal.tables import print_table

__all__ = ["note_overlap", "print_evaluation"]

_SHOWN = 3


def note_overlap(result: dict[str, Any]) -> None:
    """Warn of images that were trained on."""
    rows, overlap = result["rows"], result["overlap"]
    if overlap is None:
        note(
            "warning: what the run was trained on cannot be read, so images that it has seen are not counted"
        )
    elif overlap:
        note(f"warning: {overlap} of {rows} images were trained on; the scores flatter the network")


def print_evaluation(result: dict[str, Any]) -> None:
    """Tables of what was scored, then the headline."""
    _print_levels(result)
    _print_stages(result["stages"])
    classes = [
        (entry["name"], *_numbers(entry, "dice", "iou", "precision", "recall")) for entry in result["classes"]
    ]
    print_table(("class", "Dice", "IoU", "precision", "recall"), classes)
    labels = result.get("image_labels")
    if labels is not None:
        rows = [
            (entry["name"], str(entry["images"]), *_numbers(entry, "precision", "recall"))
            for entry in labels["classes"]
        ]
        print_table(("image label", "images", "precision", "recall"), rows)
        typer.echo(f"image labels: accuracy {labels['accuracy']:.4f} over {labels['images']} images")
    if result["certainty"]:
        _print_certainty(result["certainty"])
    if "objects" in result:
        _print_objects(result["objects"])
    if "borders" in result:
        _print_borders(result)
    _print_calibration(result["calibration"])
    _print_images(result)
    _print_fitted(result.get("fitted_thresholds", []))
    typer.echo(
        f"{result['split']}: {result['rows']} images at level {result['level']}{_dilation(result)}"
        f"{disturbed_by(result)}, Dice {_with_interval(result, 'dice')}, IoU {_with_interval(result, 'iou')}"
    )


def _print_levels(result: dict[str, Any]) -> None:
    from unetpp.report.numbers import size_text

    latency, keys = result["latency"], ("dice", "iou", "dice_per_image", "iou_per_image")
    heads = ["level", "Dice", "IoU", "Dice/image", "IoU/image"]
    rows = [[name, *_numbers(values, *keys)] for name, values in result["levels"].items()]
    if latency is not None:
        heads.append(f"ms at {size_text(latency['size_px'])} px")
        rows = [
            [*row, f"{1000 * latency['levels_s'][row[0]]:.1f}"]
            for row in rows
            if row[0] in latency["levels_s"]
        ]
    print_table(heads, rows)


def _print_stages(stages: list[dict[str, Any]]) -> None:
    if not stages:
        return
    rows = []
    for stage in stages:
        gain = stage.get("gain")
        told = (
            ("-", "-")
            if gain is None
            else (
                f"{gain['mean_difference']:+.4f} [{gain['ci_low']:+.4f}, {gain['ci_high']:+.4f}]",
                f"{gain['p_corrected']:.3f}",
            )
        )
        rows.append(
            (stage["masks"], *_numbers(stage, "dice", "dice_per_image"), *told, f"{stage['cpu_ms']:.0f}")
        )
    print_table(("masks", "Dice", "Dice/image", "gain an image [95 %]", "p", "CPU ms an image"), rows)


def _print_borders(result: dict[str, Any]) -> None:
    borders = result["borders"]
    keys = [key for key in ("boundary_iou", "surface_dice", "hd95_px", "hd95_mm") if key in result]
    heads = ["borders", "boundary IoU", f"surface Dice at {borders['tolerance']}", "HD95 px", "HD95 mm"]
    rows = [(entry["name"], *_numbers(entry, *keys)) for entry in borders["classes"]]
    if len(rows) > 1:
        rows.append(("mean", *_numbers(result, *keys)))
    print_table(heads[: 1 + len(keys)], rows)
    if borders["without_distance"]:
        typer.echo(f"without HD95, being in the truth or the prediction only: {borders['without_distance']}")


def _print_calibration(calibration: dict[str, Any] | None) -> None:
    if calibration is not None:
        typer.echo(
            f"calibration: expected error {calibration['ece']:.4f}, largest {calibration['max_error']:.4f}"
        )


def _print_images(result: dict[str, Any]) -> None:
    worst = ", ".join(f"{each['sample_id']} {each['dice']:.3f}" for each in result["worst"][:_SHOWN])
    typer.echo(f"lowest Dice: {worst}")
    uncertain = result["most_uncertain"]
    if uncertain is not None:
        names = ", ".join(f"{each['sample_id']} {each['dice']:.3f}" for each in uncertain["images"][:_SHOWN])
        typer.echo(f"least certain by {uncertain['by']}, with their Dice: {names}")


def _print_fitted(fitted: list[dict[str, Any]]) -> None:
    for each in fitted:
        typer.echo(
            f"threshold of {each['name']}: {each['threshold']:.3f}, kept in the run; "
            f"Dice {each['dice']:.4f}, at one half {each['dice_at_half']:.4f}"
        )


def _with_interval(result: dict[str, Any], score: str) -> str:
    found = result["intervals"].get(score)
    interval = "" if found is None else f" [{found[0]:.4f}, {found[1]:.4f}]"
    return f"{result[score]:.4f}{interval}"


def _dilation(result: dict[str, Any]) -> str:
    """Of a network whose weights several share."""
    return f", dilation {','.join(map(str, result['dilation']))}" if "dilation" in result else ""


def _print_certainty(certainty: dict[str, Any]) -> None:
    keys = ("spearman", "risk_coverage", "risk_coverage_best")
    rows = [(name, *_numbers(values, *keys)) for name, values in certainty.items()]
    print_table(("certainty by", "rank correlation with Dice", "risk-coverage", "at best"), rows)


def _print_objects(objects: dict[str, Any]) -> None:
    keys = (*objects["f1"], "PQ", "AJI")
    values = {**objects["f1"], "PQ": objects["pq"], "AJI": objects["aji"]}
    heads = (*(f"F1 at {threshold}" for threshold in objects["f1"]), "PQ", "AJI", "objects", "found")
    print_table(heads, [(*_numbers(values, *keys), str(objects["truths"]), str(objects["predictions"]))])


def _numbers(values: dict[str, Any], *keys: str) -> list[str]:
    return ["-" if values[key] is None else f"{values[key]:.4f}" for key in keys]
