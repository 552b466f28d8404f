"""unetpp evaluate: score a run on a split, at every level."""

from typing import Annotated, Any

import typer

from unetpp.api.progress.image_progress import ImageProgress
from unetpp.cli.terminal.dilation import Dilation, parse_dilation
from unetpp.cli.terminal.disturbance import Attack, Corruption, Epsilon, Severity, Steps, disturbed_by
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.cli.terminal.tables import print_table
from unetpp.core.commands import shown_command

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def evaluate(
        run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or URI.")],
        overrides: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[data.uri=URI]", help="Another dataset, or the current version of the training's."
            ),
        ] = None,
        split: Annotated[str | None, typer.Option(help="Split to score [default: test, else val].")] = None,
        level: Annotated[int | None, typer.Option(help="Deepest head used [default: all].")] = None,
        dilation: Dilation = None,
        hd95: Annotated[bool, typer.Option("--hd95", help="Also the 95 % Hausdorff distance.")] = False,
        attack: Attack = None,
        epsilon: Epsilon = None,
        steps: Steps = None,
        corruption: Corruption = None,
        severity: Severity = None,
        json: Json = False,
    ) -> None:
        """Score a run's best checkpoint and write evaluations/ into the run."""
        data_uri = _data_uri(overrides or [])
        from unetpp.inference.evaluate import evaluate as score_run
        from unetpp.inference.evaluation.options import EvaluateOptions
        from unetpp.inference.robustness.disturbance import Disturbance

        options = EvaluateOptions(hd95, Disturbance(attack, epsilon, steps, corruption, severity))

        with ImageProgress("evaluating") as progress:
            asked: dict[str, Any] = {"split": split, "data_uri": data_uri, "level": level}
            asked["dilation"] = parse_dilation(dilation)
            result = score_run(run, **asked, options=options, on_rows=progress)
        _note_overlap(result)
        if json:
            emit(result, json=True)
            return
        _print_scores(result)
        note(f"report: {shown_command('report', run)}")


def _data_uri(overrides: list[str]) -> str | None:
    """The value of `data.uri=URI`.

    Raises:
        ConfigError: any other override.
    """
    from unetpp.core.errors import ConfigError

    uri = None
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "data.uri" or not value:
            raise ConfigError(f"evaluate takes data.uri=URI only, not {override!r}; leave it out")
        uri = value
    return uri


def _note_overlap(result: dict[str, Any]) -> None:
    rows, overlap = result["rows"], result["overlap"]
    if overlap is None:
        note(
            "warning: what the run was trained on cannot be read, so images that it has seen are not counted"
        )
    elif overlap:
        note(f"warning: {overlap} of {rows} images were trained on; the scores flatter the network")


def _print_scores(result: dict[str, Any]) -> None:
    from unetpp.report.numbers import size_text

    latency = result["latency"]["levels_s"]
    keys = ("dice", "iou", "dice_per_image", "iou_per_image")
    levels = [
        (name, *_numbers(values, *keys), f"{1000 * latency[name]:.1f}")
        for name, values in result["levels"].items()
    ]
    size = size_text(result["latency"]["size_px"])
    print_table(("level", "Dice", "IoU", "Dice/image", "IoU/image", f"ms at {size} px"), levels)
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
    if "hd95_px" in result:
        length = f", {result['hd95_mm']:.2f} mm" if "hd95_mm" in result else ""
        typer.echo(f"95 % Hausdorff distance: {result['hd95_px']:.2f} px{length}")
    typer.echo(
        f"{result['split']}: {result['rows']} images at level {result['level']}{_dilation(result)}"
        f"{disturbed_by(result)}, "
        f"Dice {result['dice']:.4f}, IoU {result['iou']:.4f}"
    )


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
