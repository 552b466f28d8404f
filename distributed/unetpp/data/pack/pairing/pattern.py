"""`--pair REGEX`: the user's own rule, searched in the relative paths of images and of masks."""

import re
from pathlib import PurePosixPath

from unetpp.core.errors import InputError
from unetpp.data.pack.pairing.names import normal, without_formats
from unetpp.data.pack.pairing.rules import ImageName, Rule
from unetpp.data.sources.registry import stem_of

__all__ = ["pattern_rule"]


def pattern_rule(text: str) -> Rule:
    r"""The rule of an expression with one group or a group `id`, whose text pairs an image with its mask.

    A group `channel` joins several files to one image; it may be missing in masks:
    `^(?P<id>[^_]+)(_w(?P<channel>\d))?`.

    Raises:
        InputError: the expression is malformed or does not say which group counts.
    """
    try:
        pattern = re.compile(normal(text))
    except re.error as error:
        raise InputError(f"--pair {text!r} is no regular expression: {error}") from error
    if "id" not in pattern.groupindex and pattern.groups != 1:
        raise InputError(
            f"--pair {text!r} must have one group, whose text an image shares with its mask, or one named "
            f"id, (?P<id>...); it has {pattern.groups}"
        )
    group: str | int = "id" if "id" in pattern.groupindex else 1
    has_channels = "channel" in pattern.groupindex

    def image(path: str) -> ImageName | None:
        found, key = pattern.search(normal(path)), mask(path)
        if found is None or key is None:
            return None
        channel = found.group("channel") if has_channels else None
        whole = channel is None
        return ImageName(key, stem_of(path) if whole else _beside(path, key), channel)

    def mask(path: str) -> str | None:
        found = pattern.search(normal(path))
        # What matches up to the end of a path takes its suffix along, in which the two files differ.
        return without_formats(found.group(group) or "") or None if found is not None else None

    return Rule(f"what --pair {text!r} finds", image, mask, by_path=True)


def _beside(path: str, key: str) -> str:
    return key if "/" in key else str(PurePosixPath(path).parent / key)
