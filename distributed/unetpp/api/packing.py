"""Packing from folders to a committed dataset, in this process or on Ray as the work demands."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unetpp.config.planning.hardware import available_cpus
from unetpp.core.errors import InputError
from unetpp.core.manifest import Instances
from unetpp.core.mask_kinds import MasksAre
from unetpp.data.images.pixels import Reading
from unetpp.data.pack.classes import load_classes
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.masks.instances import BORDER_PX
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import PackListener, PackResult, pack
from unetpp.data.pack.rejections import STRICT, RejectionLimit
from unetpp.data.pack.runners import SwitchingRunner, TaskRunner, run_here
from unetpp.data.pack.splitting.groups import load_group_rule
from unetpp.report.packing import write_preview

__all__ = ["PackRequest", "pack_folders"]

Folders = Mapping[str | None, str]
"""A folder or URI for each split; None is one set to be split."""


@dataclass(frozen=True, kw_only=True)
class PackRequest:
    """What `unetpp data pack` can be asked for; see its options."""

    val: float | None = None
    test: float | None = None
    size: int | None = None
    tile: int | None = None
    slices: str | None = None
    instances: str | None = None
    spacing: tuple[float, ...] | None = None
    """Millimetres: Z, Y, X, or Y, X of slices."""
    window: tuple[float, float] | None = None
    """Centre and width."""
    classes: Path | None = None
    masks_are: MasksAre | None = None
    threshold: float | None = None
    class_field: str | None = None
    """Attribute of GeoJSON or GeoPackage masks that tells the class."""
    group: str | None = None
    pair: str | None = None
    alpha: str | None = None
    nan: str | None = None
    pages: str | None = None
    label_only: bool = False
    """Keep images without a mask whose folder is a label of the classes file."""
    workers: int | None = None
    """Ray tasks at once; 0 uses none, None as many as the work is worth."""
    address: str | None = None
    strict: bool = False
    max_rejected: str | None = None
    overwrite: bool = False


def pack_folders(
    images: Folders,
    masks: Folders,
    out: str,
    request: PackRequest,
    listener: PackListener | None = None,
) -> PackResult:
    """Pack images and masks; a second call continues an interrupted one.

    Raises:
        UserError: see `data.pack.pack.pack`, or options that contradict each other.
    """
    folders = _folders(images, masks, request.class_field)
    fractions = _fractions(request.val, request.test)
    if folders[0].split is not None and fractions:
        raise InputError("--val and --test have no effect on named splits; leave them out")
    limit = None if request.max_rejected is None else RejectionLimit.parse(request.max_rejected)
    options = PackOptions(
        size_px=request.size,
        tile_px=request.tile,
        slices=request.slices,
        instances=_instances(request.instances),
        spacing_mm=request.spacing,
        window=request.window,
        classes=load_classes(request.classes) if request.classes else None,
        group=load_group_rule(request.group),
        pair=request.pair,
        file_reading=Reading.of({"alpha": request.alpha, "nan": request.nan, "pages": request.pages}),
        masks_are=request.masks_are,
        label_only=request.label_only,
        threshold=request.threshold,
        val=fractions.get("val", PackOptions.val),
        test=fractions.get("test", PackOptions.test),
    )
    with _runner(request.workers, request.address) as runner:
        result = pack(
            folders,
            out,
            options,
            run=runner,
            max_rejected=STRICT if request.strict else limit,
            overwrite=request.overwrite,
            listener=listener,
        )
    write_preview(out, result)
    return result


def _instances(kind: str | None) -> Instances | None:
    if kind is None:
        return None
    if kind != "border":
        raise InputError(f"--instances {kind} must be border: the one way objects are packed as classes")
    return Instances(kind="border", border_px=BORDER_PX)


def _folders(images: Folders, masks: Folders, class_field: str | None) -> list[SourceFolder]:
    if images.keys() != masks.keys():
        raise InputError(
            f"--images names {_names(images)}, --masks {_names(masks)}; give both for every split"
        )
    return [SourceFolder(images[split], masks[split], split, class_field) for split in images]


def _names(folders: Folders) -> str:
    return ", ".join(name or "no split" for name in folders)


def _fractions(val: float | None, test: float | None) -> dict[str, float]:
    """Those that were given; beside a whole set for one split the other gets nothing."""
    given = {name: value for name, value in (("val", val), ("test", test)) if value is not None}
    return {"val": 0.0, "test": 0.0, **given} if 1.0 in given.values() else given


@contextlib.contextmanager
def _runner(workers: int | None, address: str | None) -> Iterator[TaskRunner]:
    """Ray at once where asked for, never for 0 workers, else as soon as the work turns out to be long."""
    with contextlib.ExitStack() as stack:
        if workers == 0:
            yield run_here
        elif workers is None and address is None:
            yield SwitchingRunner(lambda: _start_ray(stack, workers, address))
        else:
            yield _start_ray(stack, workers, address)


def _start_ray(stack: contextlib.ExitStack, workers: int | None, address: str | None) -> TaskRunner:
    from unetpp.data.pack.ray_runner import RayRunner
    from unetpp.launch.cluster_hardware import cluster_nodes
    from unetpp.launch.connect import connected

    here = workers or available_cpus()
    stack.enter_context(connected(address, workers=here))
    if workers is not None or address is None:
        return RayRunner(here)
    # A cluster that is still to grow has at least as much to do at once as this machine.
    return RayRunner(max(here, int(sum(node.cpus for node in cluster_nodes()))))
