"""Options of work on many images."""

from typing import Annotated

import typer

__all__ = ["Form", "GpusPerWorker", "RayAddress", "Resume", "Review", "Split", "Workers"]

Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="png, geotiff, geojson, nifti, dicom-seg, instances, coco or yolo [default: as the image came].",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a call that did not end; what is there stays.")
]
Review = Annotated[
    int | None,
    typer.Option(metavar="N", help="Also write the N least certain images and a page to OUT/review."),
]
Split = Annotated[str | None, typer.Option(help="Of a packed dataset as INPUT [default: test, else val].")]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes on Ray, a model each [default: 0, this one; of a cluster all]."),
]
GpusPerWorker = Annotated[float | None, typer.Option(help="May be a share, as 0.5 [default: as there are].")]
RayAddress = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Ray cluster to work on [default: here].")
]
