"""unetpp evaluate: score a run, an exported file or several together on a split."""

import re
from typing import Annotated, Any

import typer

from unetpp.api.progress.image_progress import ImageProgress
from unetpp.cli.terminal.averaging import AverageLevels, MinObject, Threshold, Tta, parse_thresholds
from unetpp.cli.terminal.dilation import Dilation, parse_dilation
from unetpp.cli.terminal.disturbance import Attack, Corruption, Epsilon, Severity, Steps
from unetpp.cli.terminal.evaluation import note_overlap, print_evaluation
from unetpp.cli.terminal.many import GpusPerWorker, RayAddress, Workers
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.core.commands import shown_command
from unetpp.core.process_memory import keep_freed_memory

__all__ = ["register"]

_OVERRIDE = re.compile(r"[a-z_]+\.[a-z_.]+=.*")
_MODELS = typer.Argument(
    metavar="RUN|FILE... [data.uri=URI]",
    help="A run or a file of export, of several the mean; another dataset or the current version.",
)
_FIT = typer.Option("--fit-thresholds", help="Choose thresholds by the val split and keep them in the run.")
_BOUNDARIES = typer.Option("--boundaries", "--hd95", help="Also HD95, boundary IoU and surface Dice.")
_TOLERANCE = typer.Option(help="Of the surface Dice, such as 3px or 1.5mm [default: 2px].")
_OUT = typer.Option(help="Folder or URI for the results [default: in the run].")


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def evaluate(
        models: Annotated[list[str], _MODELS],
        split: Annotated[str | None, typer.Option(help="Split to score [default: test, else val].")] = None,
        level: Annotated[int | None, typer.Option(help="Deepest head used [default: all].")] = None,
        dilation: Dilation = None,
        tta: Tta = False,
        average_levels: AverageLevels = False,
        threshold: Threshold = None,
        min_object_px: MinObject = 0,
        fit_thresholds: Annotated[bool, _FIT] = False,
        boundaries: Annotated[bool, _BOUNDARIES] = False,
        tolerance: Annotated[str | None, _TOLERANCE] = None,
        attack: Attack = None,
        epsilon: Epsilon = None,
        steps: Steps = None,
        corruption: Corruption = None,
        severity: Severity = None,
        out: Annotated[str | None, _OUT] = None,
        workers: Workers = None,
        gpus_per_worker: GpusPerWorker = None,
        address: RayAddress = None,
        json: Json = False,
    ) -> None:
        """Score a run's best checkpoint and write evaluations/ into the run."""
        where: dict[str, Any] = {"split": split, "level": level, "dilation": parse_dilation(dilation)}
        masks = {"tta": tta, "average_levels": average_levels, "min_object_px": min_object_px}
        thresholds = {"thresholds": parse_thresholds(threshold), "fit_thresholds": fit_thresholds}
        measured = {"boundaries": tolerance or boundaries, "out": out}
        attacked = {"attack": attack, "epsilon": epsilon, "steps": steps}
        corrupted = {"corruption": corruption, "severity": severity}
        shared = {"workers": workers, "address": address, "gpus_per_worker": gpus_per_worker}
        options = masks | thresholds | measured | attacked | corrupted
        _evaluate(models, where, options, shared, json=json)


def _evaluate(
    models: list[str],
    where: dict[str, Any],
    options: dict[str, Any],
    shared: dict[str, Any],
    *,
    json: bool,
) -> None:
    places, data_uri = _places(models)
    from unetpp.api.predicting import evaluate_models
    from unetpp.core.places import kind_at
    from unetpp.core.storage import open_storage

    keep_freed_memory()
    with ImageProgress("evaluating") as progress:
        result = evaluate_models(places, {"data_uri": data_uri, **where}, options, shared, progress)
    note_overlap(result)
    if json:
        emit(result, json=True)
        return
    print_evaluation(result)
    # An exported file and a cross-validation have no page.
    if len(places) == 1 and kind_at(open_storage(places[0])) == "run":
        note(f"report: {shown_command('report', places[0])}")


def _places(given: list[str]) -> tuple[list[str], str | None]:
    """Models, and the value of `data.uri=URI`.

    Raises:
        ConfigError: any other override, or no model.
    """
    from unetpp.core.errors import ConfigError

    uri = None
    places = []
    for each in given:
        if not _OVERRIDE.fullmatch(each):
            places.append(each)
            continue
        key, _, value = each.partition("=")
        if key != "data.uri" or not value:
            raise ConfigError(f"evaluate takes data.uri=URI only, not {each!r}; leave it out")
        uri = value
    if not places:
        raise ConfigError("evaluate needs a run or an exported file; name one")
    return places, uri
