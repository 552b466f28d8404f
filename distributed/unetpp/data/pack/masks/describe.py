"""From scanned and planned pairs to what was understood of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from unetpp.core.manifest import IGNORE, SPLITS
from unetpp.data.images.header import SampleError
from unetpp.data.pack.labels import Labelling
from unetpp.data.pack.masks.doubts import listed
from unetpp.data.pack.masks.evidence import MaskEvidence
from unetpp.data.pack.masks.meaning import MaskMeaning
from unetpp.data.pack.masks.oddities import warnings_about
from unetpp.data.pack.masks.understood import ClassShare, SplitShare, Understood
from unetpp.data.pack.scan import LabelledPair, ScannedPair
from unetpp.data.sources.files import location
from unetpp.data.sources.spacing import shape_of

__all__ = ["describe"]

_SHOWN_COLOURS = 4


def describe(
    scanned: Sequence[ScannedPair],
    kept: Sequence[LabelledPair],
    meaning: MaskMeaning,
    split_of: Mapping[str, str],
    *,
    channels: int,
    dtype: str,
    rejected: int,
) -> Understood:
    """Sum up what is about to be packed.

    Args:
        scanned: all readable pairs.
        kept: those that will be packed.
        meaning: of their masks.
        split_of: split of each sample id.
        channels: of every image.
        dtype: of every image.
        rejected: files that are left out.
    """
    evidence = {location(item.pair.mask): item.mask for item in scanned}
    counted = Counter(split_of[item.pair.sample_id] for item in kept)
    found = Understood(
        task=meaning.labelling.task,
        masks_are=meaning.masks_are,
        is_stated=meaning.is_stated,
        plane=meaning.plane,
        threshold=meaning.threshold,
        mask_files=dict(Counter(_file_kind(one) for one in evidence.values()).most_common()),
        classes=_shares(kept, meaning.labelling, _values(evidence, meaning), split_of),
        channels=channels,
        dtype=dtype,
        sizes=dict(Counter("x".join(map(str, shape_of(item.header))) for item in kept).most_common()),
        splits={split: counted[split] for split in SPLITS if counted[split]},
        rejected=rejected,
        warnings=(),
    )
    return replace(found, warnings=tuple(warnings_about(found, evidence)))


def _file_kind(one: MaskEvidence) -> str:
    pixels = "palette" if one.facts.palette is not None else f"{one.facts.bits} bit"
    channels = one.pixels.shape[1]
    return f"{one.facts.container} {pixels}" + (f" x {channels}" if channels > 1 else "")


def _values(evidence: Mapping[str, MaskEvidence], meaning: MaskMeaning) -> dict[int, str]:
    """Which values of the files have each label, for people."""
    greys: dict[int, set[float]] = defaultdict(set)
    colours: dict[int, set[str]] = defaultdict(set)
    for one in evidence.values():
        try:
            pixels = one.seen(meaning.plane)
            if not pixels.size:
                continue
            labels = meaning.values(pixels)[0].tolist()
        except SampleError:
            continue  # this mask is left out
        is_grey = (pixels[0] == pixels[0][:, :1]).all()
        for label, pixel in zip(labels, pixels[0].tolist(), strict=True):
            if is_grey and meaning.masks_are != "colours":
                greys[label].add(pixel[0])
            else:
                colours[label].add(str(tuple(pixel)) if len(pixel) > 1 else f"{pixel[0]}")
    return {label: _text(greys[label], colours[label]) for label in greys.keys() | colours.keys()}


def _text(greys: set[float], colours: set[str]) -> str:
    shown = sorted(colours)[:_SHOWN_COLOURS] + (["..."] if len(colours) > _SHOWN_COLOURS else [])
    return ", ".join(([listed(frozenset(greys))] if greys else []) + shown)


def _shares(
    kept: Sequence[LabelledPair], labelling: Labelling, values: Mapping[int, str], split_of: Mapping[str, str]
) -> tuple[ClassShare, ...]:
    parts = _parts(labelling)
    parts_of = {label: [i for i, part in enumerate(parts) if label in part[1]] for label in labelling.allowed}
    pixels: list[Counter[str]] = [Counter() for _ in parts]
    images: list[Counter[str]] = [Counter() for _ in parts]
    largest: list[dict[str, tuple[int, str]]] = [{} for _ in parts]
    for item in kept:
        split = split_of[item.pair.sample_id]
        held = Counter[int]()
        for label, count in item.counts:
            held.update(dict.fromkeys(parts_of[label], count))
        for part, count in held.items():
            pixels[part][split] += count
            largest[part][split] = max(largest[part].get(split, (0, "")), (count, item.pair.sample_id))
        for part in {part for label in item.labels for part in parts_of[label]}:
            images[part][split] += 1
    total = sum(count for item in kept for _, count in item.counts)
    return tuple(
        ClassShare(
            name,
            ", ".join(values[label] for label in sorted(labels & values.keys())) or "none",
            sum(pixels[part].values()) / max(total, 1),
            sum(images[part].values()) / max(len(kept), 1),
            {
                split: SplitShare(
                    pixels[part][split], images[part][split], *largest[part].get(split, (0, ""))
                )
                for split in set(split_of.values())
            },
            is_scored,
        )
        for part, (name, labels, is_scored) in enumerate(parts)
    )


def _parts(labelling: Labelling) -> list[tuple[str, frozenset[int], bool]]:
    """Name, labels, and whether it is a class, of all that a pixel can be."""

    def stored_as(index: int) -> frozenset[int]:
        return frozenset(label for label in labelling.allowed if labelling.table[label] == index)

    names = [entry.name for entry in labelling.classes]
    parts: list[tuple[str, frozenset[int], bool]] = []
    if labelling.task == "multilabel":
        counted = frozenset(label for label in labelling.allowed if labelling.table[label] != IGNORE)
        for bit, name in enumerate(names):
            parts.append(
                (name, frozenset(label for label in counted if labelling.table[label] >> bit & 1), True)
            )
        parts.append(
            ("no label", frozenset(label for label in counted if labelling.table[label] == 0), False)
        )
    elif labelling.task == "binary":
        parts = [("background", stored_as(0), False), (names[0], stored_as(1), True)]
    else:
        parts = [(name, stored_as(index), True) for index, name in enumerate(names)]
    if labelling.ignore_index is not None:
        parts.append(("ignored", stored_as(IGNORE), False))
    return parts
