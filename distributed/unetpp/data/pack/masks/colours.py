"""Masks whose colours are classes, without a file that names them: the classes are the colours found."""

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.data.images.header import SampleError
from unetpp.data.images.mask_facts import MaskPlane
from unetpp.data.pack.classes import ClassEntry, ClassSpec, Colour
from unetpp.data.pack.masks.doubts import is_soft
from unetpp.data.pack.masks.survey import Survey

__all__ = ["as_colours", "colour_classes"]

_BLACK = (0, 0, 0)
_MAX_COLOURS = 64
"""More are blended borders or a photograph; a set that really has them names them in a classes file."""
_SHOWN = 6


def colour_classes(survey: Survey, plane: MaskPlane) -> ClassSpec:
    """The classes of a set: black first, as background, then by red, green and blue.

    Raises:
        InputError: the colours are not exact, too many, or a single one.
    """
    masks = {**survey.grey, **survey.colour}
    lossy = next((name for name, one in masks.items() if one.facts.is_lossy), None)
    if lossy is not None:
        raise InputError(
            f"--masks-are colours needs exact colours, {lossy} is {masks[lossy].facts.container} with lossy "
            "compression; save the masks as PNG from their source"
        )
    found: set[Colour] = set()
    for one in masks.values():
        found.update((r, g, b) for r, g, b in as_colours(one.seen(plane))[0].tolist())
    ordered = sorted(found, key=lambda colour: (colour != _BLACK, colour))
    if len(ordered) > _MAX_COLOURS or any(is_soft(one) for one in survey.colour.values()):
        raise InputError(
            f"the masks hold {len(ordered)} colours, blended at their borders ({_listed(ordered)}), and "
            f"--masks-are colours takes at most {_MAX_COLOURS} exact ones; save the masks without smoothing, "
            "or name the true colours with --classes"
        )
    if len(ordered) < 2:
        raise InputError(
            f"all masks have one colour, {_listed(ordered)}; a class cannot be told from another"
        )
    if len(ordered) == 2 and ordered[0] == _BLACK:
        return ClassSpec(classes=(ClassEntry(name=_name(ordered[1]), colour=ordered[1]),))
    return ClassSpec(classes=tuple(ClassEntry(name=_name(colour), colour=colour) for colour in ordered))


def as_colours(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask as shown, H W C, with three channels.

    Raises:
        SampleError: it is neither grey nor RGB in 8 bits.
    """
    if mask.shape[2] not in (1, 3) or mask.dtype != np.uint8:
        raise SampleError(
            f"--masks-are colours takes grey or RGB masks of 8 bits, not {mask.shape[2]} channels of "
            f"{mask.dtype}"
        )
    return np.repeat(mask, 3, axis=2) if mask.shape[2] == 1 else mask


def _name(colour: Colour) -> str:
    return "background" if colour == _BLACK else "#{:02x}{:02x}{:02x}".format(*colour)


def _listed(colours: list[Colour]) -> str:
    return ", ".join(map(_name, colours[:_SHOWN])) + (" ..." if len(colours) > _SHOWN else "")
