"""One rule for two whole lists of paths: the one that pairs most, and only where no other contradicts it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from unetpp.core.errors import InputError
from unetpp.data.pack.pairing import roles
from unetpp.data.pack.pairing.nearest import Nearest
from unetpp.data.pack.pairing.relation import Match, Relation, relate
from unetpp.data.pack.pairing.rules import RULES, Rule

__all__ = ["Pairing", "Unpaired", "pair_paths"]

_EXPLAINED = 100
"""Files without a partner for which the nearest name is looked up."""


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A file without a partner, and why."""

    kind: Literal["image", "mask"]
    path: str
    reason: str
    is_alone: bool = False
    """Whether nothing speaks for a partner; else there may be one, and the reason says what is in the way."""


@dataclass(frozen=True)
class Pairing:
    """Which files belong together."""

    said: str
    """What the two of a pair have in common."""
    matches: tuple[Match, ...]
    unpaired: tuple[Unpaired, ...]
    unused: tuple[str, ...]
    """Masks that repeat another one in another form."""


def pair_paths(images: Sequence[str], masks: Sequence[str], own_rule: Rule | None = None) -> Pairing:
    """Pair relative paths by the user's rule, or by the first of those that pair most.

    Raises:
        InputError: another rule gives an image or a mask another partner.
    """
    relations = [relate(rule, images, masks) for rule in (RULES if own_rule is None else (own_rule,))]
    chosen = max(relations, key=lambda relation: len(relation.matches))
    others = [relation for relation in relations if relation is not chosen]
    _require_agreement(chosen, others)
    doubtful = _doubtful(chosen, others)
    matches = tuple(match for match in chosen.matches if match.images[0] not in doubtful)
    unused = tuple(path for path in masks if own_rule is None and roles.is_other_rendering(path))
    return Pairing(
        chosen.rule.said, matches, tuple(_unpaired(chosen, doubtful, images, masks, unused)), unused
    )


def _require_agreement(chosen: Relation, others: Sequence[Relation]) -> None:
    mask_of = {path: match.mask for match in chosen.matches for path in match.images}
    images_of = {match.mask: match.images for match in chosen.matches}
    for other in others:
        for match in other.matches:
            expected = {mask_of.get(path, match.mask) for path in match.images}
            if expected != {match.mask} or images_of.get(match.mask, match.images) != match.images:
                first = next((m for m in chosen.matches if m.mask in expected - {match.mask}), None)
                first = first or next(m for m in chosen.matches if m.mask == match.mask)
                raise InputError(
                    f"names can be paired in two ways: {first.images[0]!r} with mask {first.mask!r} by "
                    f"{chosen.rule.said}, or {match.images[0]!r} with {match.mask!r} by {other.rule.said}; "
                    "say which with --pair REGEX, whose one group is what an image and its mask share"
                )


def _doubtful(chosen: Relation, others: Sequence[Relation]) -> dict[str, str]:
    """First file of each chosen image for which a rule knows another mask that no image has: the reasons."""
    match_of = {path: match for match in chosen.matches for path in match.images}
    taken = {match.mask for match in chosen.matches}
    reasons: dict[str, str] = {}
    for other in others:
        if other.rule.by_path != chosen.rule.by_path:
            continue
        for images, masks in other.related():
            for match in {match_of[path] for path in images if path in match_of}:
                free = [mask for mask in masks if mask not in taken]
                if free:
                    reasons[match.images[0]] = (
                        f"its mask may be {match.mask!r} or {free[0]!r}; remove one, or say which with --pair"
                    )
    return reasons


def _unpaired(
    chosen: Relation,
    doubtful: Mapping[str, str],
    images: Sequence[str],
    masks: Sequence[str],
    unused: Sequence[str],
) -> Iterator[Unpaired]:
    paired_images = {path for match in chosen.matches for path in match.images}
    paired_masks = {match.mask for match in chosen.matches}
    lonely_images = [path for path in images if path not in paired_images]
    lonely_masks = [path for path in masks if path not in paired_masks and path not in set(unused)]
    for match in chosen.matches:
        if match.images[0] in doubtful:
            yield from (Unpaired("image", path, doubtful[match.images[0]]) for path in match.images)
    yield from _explain("image", lonely_images, chosen, "no mask has this stem", lonely_masks)
    yield from _explain("mask", lonely_masks, chosen, "no image has this stem", lonely_images)


def _explain(
    kind: Literal["image", "mask"],
    lonely: Sequence[str],
    chosen: Relation,
    reason: str,
    candidates: Sequence[str],
) -> Iterator[Unpaired]:
    nearest = Nearest(candidates)
    for index, path in enumerate(lonely):
        known = chosen.reasons.get((kind, path))
        near = nearest(path) if known is None and index < _EXPLAINED else None
        nearby = "" if near is None else f" the nearest name is {near!r}:"
        hint = f";{nearby} rename, or see --pair" if candidates else ""
        yield Unpaired(kind, path, known or reason + hint, is_alone=known is None)
