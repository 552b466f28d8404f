"""unetpp predict: masks for image files."""

from typing import Annotated, Any

import typer

from unetpp.api.progress.image_progress import ImageProgress
from unetpp.cli.terminal.averaging import AverageLevels, MinObject, Threshold, Tta, parse_thresholds
from unetpp.cli.terminal.dilation import Dilation, parse_dilation
from unetpp.cli.terminal.many import Form, GpusPerWorker, RayAddress, Resume, Review, Split, Workers
from unetpp.cli.terminal.output import SOME_FAILED, Json, emit, note
from unetpp.core.process_memory import keep_freed_memory

__all__ = ["register"]

_SHOWN_FAILURES = 20
_MODELS = typer.Argument(
    metavar="RUN|FILE...", help="A run's folder or URI, or a file of export; of several the mean."
)
_INPUT = typer.Argument(metavar="INPUT", help="Image file, folder, 'glob', packed dataset or URI.")
_STRICT = typer.Option("--strict", help="Stop at the first image that cannot be predicted.")


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def predict(
        models: Annotated[list[str], _MODELS],
        source: Annotated[str, _INPUT],
        out: Annotated[str, typer.Option(help="Folder or URI for the masks.")],
        level: Annotated[int | None, typer.Option(help="Head to use [default: the deepest].")] = None,
        dilation: Dilation = None,
        tta: Tta = False,
        average_levels: AverageLevels = False,
        threshold: Threshold = None,
        min_object_px: MinObject = 0,
        overlay: Annotated[bool, typer.Option("--overlay", help="Also write overlays/ to look at.")] = False,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace masks that exist.")] = False,
        strict: Annotated[bool, _STRICT] = False,
        probabilities: Annotated[
            bool, typer.Option("--probabilities", help="Also write each class's, in steps of 1/255.")
        ] = False,
        form: Form = None,
        split: Split = None,
        resume: Resume = False,
        review: Review = None,
        workers: Workers = None,
        gpus_per_worker: GpusPerWorker = None,
        address: RayAddress = None,
        json: Json = False,
    ) -> None:
        """Segment images; each mask has its image's stem, size and form: PNG, NIfTI, DICOM SEG, GeoTIFF.

        A run on object ids writes TIFF images of ids and a CSV of objects. Images that cannot be
        read are passed over; the exit code is then 1.
        """
        from unetpp.api.predicting import predict_images
        from unetpp.inference.batch import PredictOptions

        masks: dict[str, Any] = {"tta": tta, "average_levels": average_levels, "min_object_px": min_object_px}
        options = PredictOptions(
            level,
            overlay,
            overwrite,
            strict,
            probabilities,
            form,
            parse_dilation(dilation),
            thresholds=parse_thresholds(threshold),
            resume=resume,
            split=split,
            review=review,
            **masks,
        )
        pool: dict[str, Any] = {"workers": workers, "address": address, "gpus_per_worker": gpus_per_worker}
        keep_freed_memory()
        with ImageProgress("predicting") as progress:
            result = predict_images(models, (source, out), options, **pool, on_image=progress)
        _tell(result, json=json)
        if result["failed"]:
            raise typer.Exit(SOME_FAILED)


def _tell(result: dict[str, Any], *, json: bool) -> None:
    failed = result["failed"]
    for entry in failed[:_SHOWN_FAILURES]:
        note(f"not predicted: {entry['file']}: {entry['reason']}")
    if len(failed) > _SHOWN_FAILURES:
        note(f"... and {len(failed) - _SHOWN_FAILURES} more")
    emit(result if json else result | {"failed": len(failed)}, json=json)
