"""What makes masks implausible as class indices, and which options would settle it.

Each rule looks at a whole set and knows nothing of the others; the first that has something to say is told.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE
from unetpp.core.mask_kinds import MasksAre
from unetpp.data.pack.masks.evidence import MaskEvidence
from unetpp.data.pack.masks.survey import Survey

__all__ = ["Doubt", "colour_doubt", "doubt_about", "is_one_level", "is_soft", "listed", "lossy"]

_LARGE = 64
"""A single value from here on is a brightness; below it may be a class whose fellows do not occur."""
_SOFT_SHARE, _MIN_JUMPS = 0.08, 16
"""Of the borders in masks of CamVid 0.007 are soft, at most 0.022; in resized and lossy ones 0.1 to 0.7."""
_HALF = 0.5
_BUSY, _MAX_BUSY = 0.5, 32
"""Share of neighbours that differ, from which on a mask is noise or a photograph; most classes of noise."""
_DENSE, _DENSE_MANY, _MANY = 0.5, 0.25, 16
"""Share of the indices up to the highest that occur, at least; less is enough where many do."""
_SINGLE = 0.9
_CERTAIN_OBJECTS, _FEW_OBJECTS = 8, 3
_FEW_MASKS, _NUMBERED = 5, 0.7
_BACKGROUND_BORDERS, _CROWD = 0.4, 30
_SHARED = 1.25
_STRAY = 20

_MEANINGS: dict[MasksAre, str] = {
    "binary": "they show a foreground, bright, on a background, --threshold X sets from which value on",
    "classes": "these are class indices",
    "instances": "these are ids of objects, all of which are foreground, "
    "or --instances border, which also keeps touching ones apart",
    "probabilities": "these are probabilities of the foreground",
    "colours": "every colour is a class",
}


@dataclass(frozen=True)
class Doubt:
    """What was found, and the kinds that it could be."""

    found: str
    kinds: tuple[MasksAre, ...]

    def error(self) -> InputError:
        """The refusal, which names the options."""
        options = "; ".join(f"--masks-are {kind} if {_MEANINGS[kind]}" for kind in self.kinds)
        return InputError(
            f"{self.found}; say what the masks are: {options}; or name the classes with --classes"
        )


def doubt_about(survey: Survey) -> Doubt | None:
    """The first doubt about masks of which nothing was said, None if they are plausible."""
    return next((doubt for rule in _RULES if (doubt := rule(survey)) is not None), None)


def is_one_level(survey: Survey) -> bool:
    """Whether each mask is 0 and one other value, the same in all or the highest of its depth."""
    levels = {name: values - {0} for name, values in survey.values.items()}
    return all(len(level) <= 1 for level in levels.values()) and (
        len(frozenset().union(*levels.values())) < 2
        or all(level <= {survey.grey[name].facts.full} for name, level in levels.items())
    )


def is_soft(one: MaskEvidence) -> bool:
    """Whether many borders of a mask are steps between values rather than one step."""
    edges = one.edges
    enough = edges.jumps >= _MIN_JUMPS and edges.middles > 1
    return enough and not _is_busy(one) and edges.soft > _SOFT_SHARE * edges.jumps


def _is_busy(one: MaskEvidence) -> bool:
    """Whether values change everywhere, so that there are no borders to look at."""
    return one.edges.jumps > _BUSY * one.edges.pairs


def colour_doubt(survey: Survey) -> Doubt:
    """Why masks of several channels need a word from the user."""
    names = list(survey.colour)
    pixels = survey.colour[names[0]].seen("stored")[0]
    shown = ", ".join(str(tuple(pixel)) for pixel in pixels[:4].tolist()) + (
        " ..." if len(pixels) > 4 else ""
    )
    if pixels.shape[1] != 3:
        found = (
            f"{len(names)} masks have {pixels.shape[1]} channels, such as {names[0]} with {shown}: one "
            "channel for each label needs a classes file with task: multilabel"
        )
        return Doubt(found, ())
    found = (
        f"{len(names)} masks are in colour, such as {names[0]} with {shown}: a colour mask needs a classes "
        "file with a colour for each class (--classes), or one with task: multilabel"
    )
    return Doubt(found, ("colours", "binary", "instances"))


def listed(values: frozenset[float]) -> str:
    """Values for people: all of a few, the ends of many."""
    ordered = [f"{value:.6g}" for value in sorted(values)]
    return ", ".join(ordered if len(ordered) <= 8 else [*ordered[:4], "...", ordered[-1]])


def _fractions(survey: Survey) -> Doubt | None:
    names = [name for name, one in survey.grey.items() if one.is_fractional]
    if not names:
        return None
    found = (
        f"{len(names)} masks hold numbers that are no whole ones ({listed(survey.seen)}), such as {names[0]}"
    )
    return Doubt(found, ("probabilities", "binary"))


def _negative(survey: Survey) -> Doubt | None:
    wrong = frozenset(value for value in survey.seen if value < 0)
    if not wrong:
        return None
    found = (
        f"the masks hold {listed(wrong)}, such as {survey.first(min(wrong))}, and class indices are 0 to "
        "255: where such pixels are to be ignored, save them as 255"
    )
    return Doubt(found, ("binary",))


def lossy(survey: Survey) -> Doubt | None:
    """Masks whose container changes values, unless none was changed."""
    masks = {**survey.grey, **survey.colour}
    names = [
        name
        for name, one in masks.items()
        if one.facts.is_lossy and not survey.values.get(name, frozenset((-1,))) <= {0, IGNORE}
    ]
    if not names:
        return None
    held = f" ({listed(survey.values[names[0]])})" if names[0] in survey.values else ""
    found = (
        f"{len(names)} masks are {masks[names[0]].facts.container} with lossy compression, which changes "
        f"values{held}, such as {names[0]}: labels must be stored without loss"
    )
    return Doubt(found, ("binary", "probabilities"))


def _one_level(survey: Survey) -> Doubt | None:
    """Masks of 0 and one other value each."""
    levels = {name: values - {0} for name, values in survey.values.items()}
    found = frozenset().union(*levels.values())
    if any(len(level) > 1 for level in levels.values()) or not found:
        return None
    full = all(level <= {survey.grey[name].facts.full} for name, level in levels.items())
    if full:
        return None
    if found == {1, IGNORE}:
        return Doubt(
            f"some masks hold 0/1 and others 0/255, such as {survey.first(1)} and {survey.first(IGNORE)}; "
            "make them alike or, with --threshold 1, take both as foreground",
            ("binary", "classes"),
        )
    (level, *more) = found
    if more or level == 1 or level >= _LARGE or level < 0:
        return None
    return Doubt(
        f"the masks hold {listed(survey.seen)} only: {level:g} may be the foreground or one of several "
        "classes",
        ("binary", "classes"),
    )


def _beyond_bytes(survey: Survey) -> Doubt | None:
    wide = frozenset(value for value in survey.seen if value > IGNORE)
    if not wide or is_one_level(survey):
        return None
    highest = max(wide)
    found = (
        f"mask values must be 0 to 255 to be class indices, these masks reach {highest:g} in "
        f"{survey.first(highest)}, with {len(survey.seen)} distinct values"
    )
    return Doubt(found, ("instances", "probabilities", "binary"))


def _soft(survey: Survey) -> Doubt | None:
    several = [one for one in survey.grey.values() if one.edges.jumps >= _MIN_JUMPS]
    if not several or is_one_level(survey):
        return None
    soft = sum(is_soft(one) for one in several)
    steps = sum(one.edges.soft for one in several if is_soft(one))
    is_smooth = soft > _HALF * len(several) or steps > _SOFT_SHARE * sum(one.edges.jumps for one in several)
    is_grey = len(survey.seen) > _MAX_BUSY and sum(map(_is_busy, several)) > _HALF * len(several)
    if not is_smooth and not is_grey:
        return None
    found = (
        f"the masks hold {len(survey.seen)} distinct values ({listed(survey.seen)}), which look like grey "
        "levels rather than classes: values change in steps, as after resizing or lossy compression"
    )
    return Doubt(found, ("binary", "probabilities", "classes"))


def _objects(survey: Survey) -> Doubt | None:
    stats = [one.objects for one in survey.grey.values() if one.objects.values > 0]
    several = [one for one in stats if one.values > 1]
    checked, single = sum(one.checked for one in several), sum(one.single for one in several)
    if not several or single < _SINGLE * checked:
        return None
    most, fewest = max(one.values for one in several), min(one.values for one in stats)
    apart = sum(one.background_borders for one in several) >= _BACKGROUND_BORDERS * sum(
        one.borders for one in several
    )
    # Classes may be missing from a mask, but rarely the highest ones only; ids are numbered through.
    numbered = sum(one.values for one in stats) / sum(one.highest for one in stats)
    many = most >= _CERTAIN_OBJECTS and (apart or most >= _CROWD) and numbered >= _NUMBERED
    is_count = numbered == 1 and (most - fewest >= _FEW_OBJECTS or len(several) >= _FEW_MASKS)
    ordered = all(one.is_in_reading_order for one in several)
    few = most >= _FEW_OBJECTS and most > fewest and apart and (is_count or ordered)
    if not (many or few or _unshared(survey, len(several))):
        return None
    found = (
        "the masks look like ids of objects rather than classes: nearly every value "
        f"({listed(survey.seen)}) is "
        f"one connected region, up to {most} in a mask"
    )
    return Doubt(found, ("instances", "classes"))


def _unshared(survey: Survey, masks: int) -> bool:
    """Whether nearly every value occurs in one mask only, as ids that are never used twice do."""
    objects = [count for value, count in survey.masks.items() if value not in (0, IGNORE)]
    return masks > 2 and len(objects) >= _CERTAIN_OBJECTS and sum(objects) < _SHARED * len(objects)


def _no_background(survey: Survey) -> Doubt | None:
    if 0 in survey.seen or len(survey.seen) < 2:
        return None
    found = f"the masks hold {listed(survey.seen)} and no 0, with which class indices begin"
    return Doubt(found, ("classes", "binary"))


def _gaps(survey: Survey) -> Doubt | None:
    labels = survey.labels
    if len(survey.seen) < 2 or is_one_level(survey):
        return None
    count, highest = len(labels), int(max(labels))
    step = math.gcd(*map(int, labels))
    dense = _DENSE_MANY if count >= _MANY else _DENSE
    if count > dense * (highest + 1) - 1e-9 and not (step > 1 and count > 2) and labels != {0, highest}:
        return None
    if labels == {0, 1}:
        return None
    found = (
        f"the masks hold {listed(survey.seen)}: as class indices that leaves {highest + 1 - count} of "
        f"{highest + 1} classes without a pixel"
    )
    return Doubt(found, ("binary", "classes", "probabilities"))


def _depths(survey: Survey) -> Doubt | None:
    depths = sorted({one.facts.bits for one in survey.grey.values() if one.facts.palette is None})
    if is_one_level(survey) or len(depths) < 2 or depths[0] >= 8:
        return None
    found = (
        f"the masks have {', '.join(map(str, depths))} bits a pixel: the same value may be another grey "
        f"level in each, and they hold {listed(survey.seen)}"
    )
    return Doubt(found, ("classes", "binary"))


def _stray(survey: Survey) -> Doubt | None:
    """0 and 255 with a few pixels of other values are a binary mask that was touched, not ignored pixels."""
    white, black = survey.pixels[IGNORE], survey.pixels[0]
    others = sum(survey.pixels.values()) - white - black
    if len(survey.seen) < 3 or white < _STRAY * others or black < white:
        return None
    found = (
        f"the masks hold {listed(survey.seen)}: 255 would mark {white} pixels as ignored, while all classes "
        f"but 0 have {others}"
    )
    return Doubt(found, ("binary", "classes"))


_RULES: tuple[Callable[[Survey], Doubt | None], ...] = (
    _fractions,
    _negative,
    lossy,
    _one_level,
    _beyond_bytes,
    _soft,
    _objects,
    _no_background,
    _gaps,
    _depths,
    _stray,
)
