"""unetpp data pack: image and mask files to a dataset."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.data_progress import DataProgress
from unetpp.cli.terminal.output import Json, emit, note

if TYPE_CHECKING:
    from unetpp.data.pack.discover import SourceFolder
    from unetpp.data.pack.pack import PackResult
    from unetpp.data.pack.runners import TaskRunner

__all__ = ["pack"]

_SHOWN_REJECTIONS = 5


def pack(
    images: Annotated[list[str], typer.Option(help="Folder or URI of images; train=DIR names a split.")],
    masks: Annotated[list[str], typer.Option(help="Folder or URI of masks; train=DIR names a split.")],
    out: Annotated[str, typer.Option(help="Where the dataset goes: a folder or s3://bucket/prefix.")],
    val: Annotated[float | None, typer.Option(help="Fraction for validation [default: 0.1].")] = None,
    test: Annotated[float | None, typer.Option(help="Fraction for testing [default: 0.1].")] = None,
    size: Annotated[int | None, typer.Option(help="Resize every image to a square of N pixels.")] = None,
    tile: Annotated[int | None, typer.Option(help="Cut every image into squares of N pixels.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Class names and colours: txt, json or yaml.")] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Samples kept in one split: a regex on ids, or a CSV sample,group."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Ray tasks at once; 0 uses none [default: once worth it].")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to pack on [default: here].")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on the first bad file.")] = False,
    max_rejected: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="Most files that may be left out [default: any number]."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Commit a new version.")] = False,
    json: Json = False,
) -> None:
    """Pack images and masks into a dataset; a second run continues an interrupted one."""
    from unetpp.core.errors import InputError
    from unetpp.core.logs import setup_logging
    from unetpp.data.pack.classes import load_classes
    from unetpp.data.pack.groups import load_group_rule
    from unetpp.data.pack.pack import pack as pack_dataset
    from unetpp.data.pack.rejections import STRICT, RejectionLimit
    from unetpp.data.pack.shard_plan import PackOptions

    setup_logging("INFO")
    folders = _folders(images, masks)
    fractions = _fractions(val, test)
    if folders[0].split is not None and fractions:
        raise InputError("--val and --test have no effect on named splits; leave them out")
    limit = None if max_rejected is None else RejectionLimit.parse(max_rejected)
    spec = load_classes(classes) if classes else None
    with DataProgress() as progress, _runner(workers, address) as runner:
        result = pack_dataset(
            folders,
            out,
            PackOptions(size_px=size, tile_px=tile, classes=spec, group=load_group_rule(group), **fractions),
            run=runner,
            max_rejected=STRICT if strict else limit,
            overwrite=overwrite,
            on_progress=progress.pack,
        )
    _note_rejections(result, out)
    emit(_summary(result, out), json=json)


def _fractions(val: float | None, test: float | None) -> dict[str, float]:
    """Those that were given; beside a whole set for one split the other gets nothing."""
    given = {name: value for name, value in (("val", val), ("test", test)) if value is not None}
    return {"val": 0.0, "test": 0.0, **given} if 1.0 in given.values() else given


@contextlib.contextmanager
def _runner(workers: int | None, address: str | None) -> "Iterator[TaskRunner]":
    """Ray at once where asked for, never for 0 workers, else as soon as the work turns out to be long."""
    from unetpp.data.pack.runners import SwitchingRunner, run_here

    with contextlib.ExitStack() as stack:

        def start_ray() -> "TaskRunner":
            from unetpp.config.planning.hardware import available_cpus
            from unetpp.data.pack.ray_runner import RayRunner
            from unetpp.launch.cluster_hardware import cluster_nodes
            from unetpp.launch.connect import connected

            here = workers or available_cpus()
            stack.enter_context(connected(address, workers=here))
            if workers is not None or address is None:
                return RayRunner(here)
            # A cluster that is still to grow has at least as much to do at once as this machine.
            return RayRunner(max(here, int(sum(node.cpus for node in cluster_nodes()))))

        if workers == 0:
            yield run_here
        elif workers is None and address is None:
            yield SwitchingRunner(start_ray)
        else:
            yield start_ray()


def _folders(images: Sequence[str], masks: Sequence[str]) -> "list[SourceFolder]":
    from unetpp.core.errors import InputError
    from unetpp.data.pack.discover import SourceFolder

    image_of, mask_of = _by_split(images, "--images"), _by_split(masks, "--masks")
    if image_of.keys() != mask_of.keys():
        raise InputError(
            f"--images names {_names(image_of)}, --masks {_names(mask_of)}; give both for every split"
        )
    return [SourceFolder(image_of[split], mask_of[split], split) for split in image_of]


def _by_split(values: Sequence[str], flag: str) -> dict[str | None, str]:
    from unetpp.core.errors import InputError
    from unetpp.data.pack.shard_plan import SPLITS

    found: dict[str | None, str] = {}
    for value in values:
        head, _, tail = value.partition("=")
        # A folder may have "=" in its name; only the names of splits are special.
        split, folder = (head, tail) if head in SPLITS else (None, value)
        if split in found:
            raise InputError(f"{flag} is given twice for {split or 'one set'}; use {flag} train=DIR")
        found[split] = folder
    return found


def _names(folders: dict[str | None, str]) -> str:
    return ", ".join(name or "no split" for name in folders)


def _note_rejections(result: "PackResult", out: str) -> None:
    for rejection in result.rejections[:_SHOWN_REJECTIONS]:
        note(f"rejected {rejection.file}: {rejection.reason}")
    if len(result.rejections) > _SHOWN_REJECTIONS:
        note(f"... {len(result.rejections)} files in all; see {out.rstrip('/')}/rejected.jsonl")


def _summary(result: "PackResult", out: str) -> dict[str, Any]:
    manifest = result.manifest
    splits = {
        name: manifest.splits[name].rows if name in manifest.splits else 0
        for name in ("train", "val", "test")
    }
    return {
        "rows": sum(splits.values()),
        "rejected": len(result.rejections),
        "splits": splits,
        "manifest": f"{out.rstrip('/')}/manifest-{manifest.version}.json",
    }
