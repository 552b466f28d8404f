"""What one rule makes of two lists of paths: its pairs, and files with a key that it cannot pair."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unetpp.data.pack.pairing.rules import ImageName, Rule

__all__ = ["Match", "Relation", "relate"]

_SHARED = "share this stem; rename, or say which belongs together with --pair"


@dataclass(frozen=True, slots=True)
class Match:
    """The files of one image, channel by channel, and their mask."""

    sample: str
    images: tuple[str, ...]
    mask: str


@dataclass(frozen=True)
class Relation:
    """A rule applied."""

    rule: Rule
    images: Mapping[str, Sequence[tuple[ImageName, str]]]
    """By key: what the rule reads in each path, and the path."""
    masks: Mapping[str, Sequence[str]]
    matches: tuple[Match, ...]
    reasons: Mapping[tuple[str, str], str]
    """Why a file is not paired although the rule gives it a key: by ("image" or "mask", path)."""

    def related(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Image files and masks under one key, unique or not."""
        for key in self.images.keys() & self.masks.keys():
            yield tuple(path for _, path in self.images[key]), tuple(self.masks[key])


def relate(rule: Rule, images: Iterable[str], masks: Iterable[str]) -> Relation:
    """Apply a rule; a key with several images or masks pairs none of them."""
    by_key: dict[str, list[tuple[ImageName, str]]] = {}
    for path in images:
        name = rule.image(path)
        if name is not None:
            by_key.setdefault(name.key, []).append((name, path))
    mask_by_key: dict[str, list[str]] = {}
    for path in masks:
        key = rule.mask(path)
        if key is not None:
            mask_by_key.setdefault(key, []).append(path)
    expected = _channels_of_most(by_key[key] for key in by_key.keys() & mask_by_key.keys())
    reasons: dict[tuple[str, str], str] = {}
    matches: list[Match] = []
    for key, found in by_key.items():
        reason = _unusable(found, expected if key in mask_by_key else None)
        if reason is not None:
            reasons.update({("image", path): reason for _, path in found})
        elif len(mask_by_key.get(key, ())) == 1:
            ordered = sorted(found, key=lambda item: item[0].channel or "")
            paths = tuple(path for _, path in ordered)
            matches.append(Match(ordered[0][0].sample, paths, mask_by_key[key][0]))
    for rivals in mask_by_key.values():
        if len(rivals) > 1:
            reasons.update({("mask", path): f"several masks {_SHARED}" for path in rivals})
    return Relation(rule, by_key, mask_by_key, tuple(matches), reasons)


def _channels_of_most(groups: Iterable[Sequence[tuple[ImageName, str]]]) -> frozenset[str | None]:
    """The channels that most images have; of equally frequent sets the larger."""
    sets = Counter(frozenset(name.channel for name, _ in group) for group in groups)
    ranked = sorted(sets, key=lambda found: (sets[found], len(found), sorted(map(str, found))))
    return ranked[-1] if ranked else frozenset()


def _unusable(found: Sequence[tuple[ImageName, str]], expected: frozenset[str | None] | None) -> str | None:
    channels = [name.channel for name, _ in found]
    if len(set(channels)) < len(channels):
        return f"several images {_SHARED}"
    if expected is None or expected == set(channels):
        return None
    missing, extra = _listed(expected - set(channels)), _listed(set(channels) - expected)
    if missing:
        return f"channel {missing} of this image is missing; most images have {_listed(expected)}"
    return f"channel {extra} of this image is one more than most images have, {_listed(expected)}"


def _listed(channels: Iterable[str | None]) -> str:
    return ", ".join(sorted(channel or "none" for channel in channels))
