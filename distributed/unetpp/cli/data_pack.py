"""unetpp data pack: image and mask files to a dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.api.progress.data_progress import DataProgress
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.core.mask_kinds import MasksAre

if TYPE_CHECKING:
    from unetpp.api.packing import PackRequest
    from unetpp.data.pack.pack import PackResult

__all__ = ["pack"]

_SHOWN_REJECTIONS = 5

Slices = Annotated[
    str | None,
    typer.Option(metavar="DIRECTION", help="Pack volumes as slices: axial, coronal or sagittal."),
]
Instances = Annotated[
    str | None,
    typer.Option(metavar="border", help="Masks are object ids, packed as inside and border."),
]
ClassField = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Attribute of GeoJSON or GeoPackage masks that tells the class."),
]
Group = Annotated[
    str | None,
    typer.Option(help="Samples kept in one split: a regex on ids, or a CSV sample,group."),
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Ray tasks at once; 0 uses none [default: once worth it].")
]
MaxRejected = Annotated[
    str | None,
    typer.Option(metavar="N|P%", help="Most files that may be left out [default: any number]."),
]
Pair = Annotated[
    str | None,
    typer.Option(metavar="REGEX", help="Pair by what its one group finds in paths of images and of masks."),
]
Alpha = Annotated[
    str | None,
    typer.Option(metavar="keep|drop", help="A TIFF's band tagged as alpha that is not constant."),
]
Nan = Annotated[
    str | None,
    typer.Option(metavar="ignore", help="Leave pixels out that are NaN or infinite [default: refuse]."),
]
Pages = Annotated[
    str | None,
    typer.Option(metavar="channels", help="What pages of plain TIFFs are [default: planes of a volume]."),
]
Spacing = Annotated[
    str | None,
    typer.Option(metavar="[Z,]Y,X", help="Resample to these millimetres; Y,X stay within slices."),
]
Window = Annotated[
    str | None,
    typer.Option(metavar="CENTRE,WIDTH", help="Clip values, of CT in Hounsfield units: 40,400."),
]
MaskKind = Annotated[
    MasksAre | None,
    typer.Option(
        help="What mask values mean [default: inferred, refused where unclear]. binary: foreground from "
        "--threshold on; classes: indices as stored, 255 ignored; instances: ids of objects, all of them "
        "foreground; probabilities: of the foreground, 0 to 1, or to the largest value of integers; "
        "colours: every colour is a class."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="From which value on a pixel is foreground [default: half of the values' range]."),
]

LabelOnly = Annotated[
    bool,
    typer.Option(
        "--label-only",
        help="Keep images without a mask that lie in a folder named in image_labels of the classes file.",
    ),
]


def pack(
    images: Annotated[list[str], typer.Option(help="Folder or URI of images; train=DIR names a split.")],
    masks: Annotated[list[str], typer.Option(help="Folder or URI of masks; train=DIR names a split.")],
    out: Annotated[str, typer.Option(help="Where the dataset goes: a folder or s3://bucket/prefix.")],
    val: Annotated[float | None, typer.Option(help="Fraction for validation [default: 0.1].")] = None,
    test: Annotated[float | None, typer.Option(help="Fraction for testing [default: 0.1].")] = None,
    size: Annotated[int | None, typer.Option(help="Resize every image to a square of N pixels.")] = None,
    tile: Annotated[int | None, typer.Option(help="Cut every image into squares of N pixels.")] = None,
    slices: Slices = None,
    instances: Instances = None,
    spacing: Spacing = None,
    window: Window = None,
    classes: Annotated[Path | None, typer.Option(help="Class names and colours: txt, json or yaml.")] = None,
    masks_are: MaskKind = None,
    threshold: Threshold = None,
    class_field: ClassField = None,
    group: Group = None,
    pair: Pair = None,
    alpha: Alpha = None,
    nan: Nan = None,
    pages: Pages = None,
    label_only: LabelOnly = False,
    workers: Workers = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to pack on [default: here].")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on the first bad file.")] = False,
    max_rejected: MaxRejected = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Commit a new version.")] = False,
    json: Json = False,
) -> None:
    """Pack images and masks into a dataset; a second run continues an interrupted one."""
    from unetpp.api.packing import PackRequest

    request = PackRequest(
        val=val,
        test=test,
        size=size,
        tile=tile,
        slices=slices,
        instances=instances,
        spacing=_numbers(spacing, "--spacing", (2, 3)),
        window=_numbers(window, "--window", (2,)),
        classes=classes,
        masks_are=masks_are,
        threshold=threshold,
        class_field=class_field,
        group=group,
        pair=pair,
        alpha=alpha,
        nan=nan,
        pages=pages,
        label_only=label_only,
        workers=workers,
        address=address,
        strict=strict,
        max_rejected=max_rejected,
        overwrite=overwrite,
    )
    result = _packed(images, masks, out, request)
    _note_rejections(result, out)
    emit(_summary(result, out, json=json), json=json)


def _packed(images: Sequence[str], masks: Sequence[str], out: str, request: "PackRequest") -> "PackResult":
    from unetpp.api.packing import pack_folders
    from unetpp.core.logs import setup_logging

    setup_logging("INFO")
    with DataProgress() as progress:
        folders = _by_split(images, "--images"), _by_split(masks, "--masks")
        return pack_folders(*folders, out, request, progress)


def _by_split(values: Sequence[str], flag: str) -> dict[str | None, str]:
    from unetpp.core.errors import InputError
    from unetpp.core.manifest import SPLITS

    found: dict[str | None, str] = {}
    for value in values:
        head, _, tail = value.partition("=")
        # A folder may have "=" in its name; only the names of splits are special.
        split, folder = (head, tail) if head in SPLITS else (None, value)
        if split in found:
            raise InputError(f"{flag} is given twice for {split or 'one set'}; use {flag} train=DIR")
        found[split] = folder
    return found


def _numbers(text: str | None, flag: str, lengths: Sequence[int]) -> Any:
    from unetpp.core.errors import InputError

    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in lengths:
        raise InputError(
            f"{flag} {text} must be {' or '.join(map(str, lengths))} numbers with commas between"
        )
    return found


def _note_rejections(result: "PackResult", out: str) -> None:
    for rejection in result.rejections[:_SHOWN_REJECTIONS]:
        note(f"rejected {rejection.file}: {rejection.reason}")
    if len(result.rejections) > _SHOWN_REJECTIONS:
        note(f"... {len(result.rejections)} files in all; see {out.rstrip('/')}/rejected.jsonl")


def _summary(result: "PackResult", out: str, *, json: bool) -> dict[str, Any]:
    from unetpp.core.manifest import SPLITS
    from unetpp.report.packing import PREVIEW

    manifest = result.manifest
    splits = {name: manifest.splits[name].rows if name in manifest.splits else 0 for name in SPLITS}
    return {
        "rows": sum(splits.values()),
        "rejected": len(result.rejections),
        "splits": splits,
        "manifest": f"{out.rstrip('/')}/manifest-{manifest.version}.json",
        "preview": f"{out.rstrip('/')}/{PREVIEW}",
    } | ({"understood": result.understood.as_dict()} if json else {})
