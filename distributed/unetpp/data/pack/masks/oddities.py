"""What looks wrong in a set that can be packed, and what training could learn nothing from."""

from collections.abc import Iterator, Mapping
from itertools import product

from unetpp.core.errors import InputError
from unetpp.data.pack.masks.doubts import is_soft
from unetpp.data.pack.masks.evidence import MaskEvidence
from unetpp.data.pack.masks.understood import ClassShare, Understood

__all__ = ["require_trainable", "warnings_about"]

_MOSTLY = 0.9
_HALF = 0.5
_FEW = 5
"""Images of a split with a class, below which one of them has most of it anyway."""
_SHOWN = 6


def warnings_about(found: Understood, evidence: Mapping[str, MaskEvidence]) -> Iterator[str]:
    """Everything that looks wrong, each with what may mend it; `evidence` by mask file."""
    yield from _about_splits(found)
    yield from _about_dominating_images(found)
    yield from _about_shares(found)
    yield from _about_files(found, evidence)


def require_trainable(found: Understood) -> None:
    """Refuse a set whose train split can teach nothing; other splits are checked when they are used.

    Raises:
        InputError: no pixel of train counts, or all that count are one class.
    """
    if "train" not in found.splits:
        return
    classes = [share for share in found.classes if share.name != "ignored" or share.is_scored]
    pixels = {share.name: share.splits["train"].pixels for share in classes}
    if not any(pixels.values()):
        raise InputError(
            "all pixels of the train split are ignored; check which mask value is meant to be ignored "
            "(ignore_index of the classes file)"
        )
    scored = [share.name for share in classes if share.is_scored and pixels[share.name]]
    if found.task != "multiclass" and not scored:
        names = ", ".join(share.name for share in classes if share.is_scored)
        raise InputError(
            f"no mask of the train split has a pixel of {names}: {_values(found)}; {_way_out(found)}"
        )
    present = [name for name, count in pixels.items() if count]
    if found.task != "multilabel" and len(present) == 1:
        raise InputError(
            f"every pixel of the train split is {present[0]}: {_values(found)}; {_way_out(found)}"
        )


def _values(found: Understood) -> str:
    held = [f"{share.values} ({share.name})" for share in found.classes if share.pixel_share > 0]
    return "the masks hold " + ", ".join(held[:_SHOWN]) + (" ..." if len(held) > _SHOWN else "")


def _way_out(found: Understood) -> str:
    elsewhere = [name for name in found.splits if name != "train"]
    if any(_holds(share, split) for share in found.classes if share.is_scored for split in elsewhere):
        return f"there are some in {' and '.join(elsewhere)}: use a smaller --val and --test"
    return "check that --masks names the masks, and say what their values mean with --masks-are or --classes"


def _about_splits(found: Understood) -> Iterator[str]:
    for split, images in found.splits.items():
        if split == "val" and images == 1:
            yield "the val split is one image: its scores say little; use more images or a larger --val"
        missing = [share.name for share in found.classes if share.is_scored and not _holds(share, split)]
        if not missing:
            continue
        scored = sum(share.is_scored for share in found.classes)
        if len(missing) == scored and found.task != "multiclass":
            yield f"no mask of the {split} split has foreground, without which Dice says nothing"
        else:
            elsewhere = (
                "nor in any other" if len(found.splits) == 1 else "though the classes are counted in scores"
            )
            shown = ", ".join(missing[:_SHOWN]) + (
                f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            )
            yield f"no mask of the {split} split has a pixel of {shown}, {elsewhere}"


def _about_dominating_images(found: Understood) -> Iterator[str]:
    """A picture of another kind, an overview among close-ups, would decide which epoch is the best."""
    shares = [share for share in found.classes if share.is_scored]
    for share, split in product(shares, ("val", "test")):
        part = share.splits.get(split)
        if part is not None and part.images >= _FEW and part.largest > _HALF * part.pixels:
            yield (
                f"one image, {part.largest_image}, holds {part.largest / part.pixels:.0%} of the pixels of "
                f"{share.name} in the {split} split: pooled scores are mostly its own; leave it out if it is "
                "not like the others"
            )


def _about_shares(found: Understood) -> Iterator[str]:
    for share in found.classes:
        if share.name == "ignored" and not share.is_scored and share.pixel_share > _HALF:
            yield f"{share.pixel_share:.0%} of all pixels are ignored (mask value {share.values})"
        if found.task == "binary" and share.is_scored and share.pixel_share > _MOSTLY:
            yield (
                f"{share.name} is {share.pixel_share:.0%} of all pixels (mask value {share.values}): "
                "foreground and background may be exchanged"
            )


def _about_files(found: Understood, evidence: Mapping[str, MaskEvidence]) -> Iterator[str]:
    lossy = [name for name, one in evidence.items() if one.facts.is_lossy]
    if lossy:
        yield (
            f"{len(lossy)} masks are stored with lossy compression, such as {lossy[0]}: borders are not "
            "where they were drawn"
        )
    soft = [name for name, one in evidence.items() if is_soft(one)]
    if soft and found.threshold is None:
        yield (
            f"across the borders of {len(soft)} masks values change in steps, such as {soft[0]}: labels "
            "there may come from resizing with interpolation"
        )
    objects = [one.objects for one in evidence.values() if one.objects.values > 1]
    if found.task == "multiclass" and objects and all(one.single == one.checked for one in objects):
        yield (
            "every class is one connected region in each mask: if the values are ids of objects, use "
            "--masks-are instances"
        )
    clear = [name for name, one in evidence.items() if one.alpha is not None and len(one.alpha.pixels) > 1]
    if clear and found.plane != "alpha":
        yield f"{len(clear)} masks have transparent pixels, such as {clear[0]}: they are read as 0"


def _holds(share: ClassShare, split: str) -> bool:
    return split in share.splits and share.splits[split].pixels > 0
