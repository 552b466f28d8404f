"""Which pixels of mask files are the labels: stored samples, what viewers show, or the alpha channel."""

from collections.abc import Iterable, Mapping

from unetpp.data.images.mask_facts import MaskPlane
from unetpp.data.pack.classes import ClassSpec, Colour
from unetpp.data.pack.masks.doubts import Doubt
from unetpp.data.pack.masks.evidence import MaskEvidence
from unetpp.data.pack.masks.reading import MaskReading

__all__ = ["plane_of"]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
_SHOWN = ("binary", "probabilities", "colours")
"""Kinds that are about brightness or colour."""


def plane_of(evidence: Mapping[str, MaskEvidence], reading: MaskReading) -> MaskPlane | Doubt:
    """The plane that holds the labels of a set, or why it is not clear."""
    if _is_in_alpha(evidence.values()):
        return "alpha"
    palettes = [(name, one) for name, one in evidence.items() if one.facts.palette is not None]
    if reading.masks_are is not None:
        return "shown" if reading.masks_are in _SHOWN else "stored"
    if not palettes:
        return "stored"
    entries = [(name, *entry) for name, one in palettes for entry in _entries(one)]
    colours = {colour for _, _, colour in entries}
    spec = reading.spec
    if spec is not None and any(entry.colour is not None for entry in spec.classes):
        return "shown" if colours <= _colours_of(spec) else "stored"
    if spec is not None and spec.resolved_task != "binary":
        return "stored"
    if colours <= {BLACK, WHITE}:
        return "shown"
    return "stored" if spec is not None else _indices(entries)


def _is_in_alpha(evidence: Iterable[MaskEvidence]) -> bool:
    """Whether alpha varies while all that it lets through has one colour."""
    with_alpha = [one for one in evidence if one.alpha is not None]
    visible = frozenset().union(*(one.visible for one in with_alpha))
    return len(visible) < 2 and any(one.alpha is not None and len(one.alpha.pixels) > 1 for one in with_alpha)


def _entries(one: MaskEvidence) -> list[tuple[int, Colour]]:
    """Used palette entries: index and colour."""
    colours = [(int(red), int(green), int(blue)) for red, green, blue in one.shown_colours.tolist()]
    return list(zip(one.pixels[:, 0].astype(int).tolist(), colours, strict=True))


def _colours_of(spec: ClassSpec) -> set[Colour]:
    named = {entry.colour for entry in spec.classes if entry.colour is not None}
    ignored = {spec.ignore_colour} if spec.ignore_colour is not None else set()
    return named | ignored | ({BLACK} if spec.resolved_task == "binary" else set())


def _indices(entries: list[tuple[str, int, Colour]]) -> MaskPlane | Doubt:
    """Palette indices as labels, unless the palettes say otherwise."""
    colour_of: dict[int, tuple[str, Colour]] = {}
    for name, index, colour in entries:
        other, known = colour_of.setdefault(index, (name, colour))
        if known != colour:
            found = (
                f"palette index {index} is colour {known} in {other} and {colour} in {name}: the masks' "
                "indices do not mean the same"
            )
            return Doubt(found, ("colours", "classes", "binary"))
    order = [colour for _, (_, colour) in sorted(colour_of.items())]
    is_grey = all(red == green == blue for red, green, blue in order)
    name = entries[0][0]
    if is_grey and order != sorted(order):
        found = (
            f"the masks have a grey palette whose order is not that of its brightness ({_shown(colour_of)} "
            f"in {name}): indices and grey levels differ"
        )
        return Doubt(found, ("classes", "colours", "binary"))
    if len(order) == 2 and BLACK in order and order[0] != BLACK:
        found = f"the masks have a palette of two colours with black last ({_shown(colour_of)} in {name})"
        return Doubt(found, ("classes", "colours", "binary"))
    return "stored"


def _shown(colour_of: Mapping[int, tuple[str, Colour]]) -> str:
    return ", ".join(f"{index} is {colour}" for index, (_, colour) in sorted(colour_of.items())[:4])
