"""unetpp data: pack a dataset, cut it anew, verify it, describe it, look at it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.data_pack import pack
from unetpp.cli.terminal.output import Json, emit, note

if TYPE_CHECKING:
    from unetpp.core.manifest import Manifest

__all__ = ["register"]

_SHOWN_PROBLEMS = 20

Uri = Annotated[str, typer.Argument(metavar="URI", help="A packed dataset: a folder or s3://bucket/prefix.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    about = "Pack a dataset, cut it anew, verify it, describe it, look at it."
    data = typer.Typer(help=about, no_args_is_help=True)
    data.command("pack")(pack)
    data.command("repack")(_repack)
    data.command("verify")(_verify)
    data.command("stats")(_stats)
    data.command("preview")(_preview)
    app.add_typer(data, name="data")


def _verify(uri: Uri, json: Json = False) -> None:
    """Read every byte again and check digests, shapes, labels and splits; exit 1 if anything is wrong."""
    from unetpp.api.progress.data_progress import DataProgress
    from unetpp.core.storage import open_storage
    from unetpp.data.dataset.verify import verify

    with DataProgress() as progress:
        result = verify(open_storage(uri), progress.shard)
    for problem in result.problems[:_SHOWN_PROBLEMS]:
        note(problem)
    if len(result.problems) > _SHOWN_PROBLEMS:
        note(f"... and {len(result.problems) - _SHOWN_PROBLEMS} more")
    if result.orphans:
        note(f"{len(result.orphans)} shard files belong to no version, left by an interrupted packing")
    emit({"ok": result.ok, "rows": result.rows, "problems": list(result.problems)}, json=json)
    if not result.ok:
        raise typer.Exit(1)


def _repack(
    uri: Uri,
    out: Annotated[str, typer.Option(help="Where the new dataset goes: a folder or s3://bucket/prefix.")],
    json: Json = False,
) -> None:
    """Cut a dataset of very many small shards into shards of the usual size; rows stay as they are."""
    from unetpp.api.progress.data_progress import DataProgress
    from unetpp.core.storage import open_storage
    from unetpp.data.dataset.repack import repack

    with DataProgress() as progress:
        manifest = repack(open_storage(uri), open_storage(out), progress.row)
    shards = {name: len(split.shards) for name, split in manifest.splits.items()}
    emit({"rows": sum(split.rows for split in manifest.splits.values()), "shards": shards}, json=json)


def _stats(uri: Uri, json: Json = False) -> None:
    """Print what the manifest says about splits, sizes, classes and channels."""
    from unetpp.core.storage import open_storage
    from unetpp.data.dataset.manifests import load_manifest

    emit(_describe(load_manifest(open_storage(uri))), json=json)


def _preview(
    uri: Uri,
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("preview.png"),
    split: Annotated[
        str | None, typer.Option(help="train, val or test [default: train if it is there].")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=120, help="Samples to draw.")] = 12,
    json: Json = False,
) -> None:
    """Draw samples beside the same with their masks over them."""
    from unetpp.core.errors import InputError
    from unetpp.core.storage import open_storage
    from unetpp.data.preview import contact_sheet

    sheet, drawn = contact_sheet(open_storage(uri), split=split, count=count)
    try:
        sheet.save(out, format="PNG")
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}; choose another file") from error
    emit({"file": str(out), "split": drawn}, json=json)


def _describe(manifest: "Manifest") -> dict[str, Any]:
    names = [entry.name for entry in manifest.classes]
    return {
        "version": manifest.version,
        "task": manifest.task,
        "channels": manifest.channels,
        "dtype": manifest.dtype,
        "ignore_index": manifest.ignore_index,
        "splits": {
            name: {
                "rows": info.rows,
                "shards": len(info.shards),
                "bytes": sum(shard.bytes for shard in info.shards),
                "decoded_bytes": sum(shard.decoded_bytes for shard in info.shards),
            }
            for name, info in manifest.splits.items()
        },
        "sizes": manifest.sizes,
        "class_pixels": dict(zip(names, manifest.class_pixels, strict=True)),
        "foreground_histogram": list(manifest.foreground_histogram),
        "channel_stats": [stats.model_dump() for stats in manifest.channel_stats],
        "image_labels": list(manifest.image_labels),
        "fingerprint": manifest.fingerprint,
    }
