"""The rules by which names may agree, the strictest first."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from unetpp.data.pack.pairing import roles
from unetpp.data.pack.pairing.names import bare, stem
from unetpp.data.sources.registry import stem_of

__all__ = ["RULES", "ImageName", "Rule"]

_CHANNEL = re.compile(r"_(\d{4})$")
"""nnU-Net's layout: `CASE_0000`, `CASE_0001` are the channels of the image of mask `CASE`."""


class ImageName(NamedTuple):
    """What a rule reads in an image's path."""

    key: str
    """Equal to the key of its mask."""
    sample: str
    """The id of the sample, a relative path."""
    channel: str | None = None
    """Which channels of the image the file holds, where an image has several files."""


@dataclass(frozen=True)
class Rule:
    """How keys are read from paths; None where the rule says nothing about a file."""

    said: str
    """The rule in words: "pairs have ..."."""
    image: Callable[[str], ImageName | None]
    mask: Callable[[str], str | None]
    by_path: bool
    """Whether the folders have to agree, too."""


def _whole(key_of: Callable[[str], str]) -> Callable[[str], ImageName | None]:
    return lambda path: ImageName(key_of(stem(path)), stem_of(path))


def _channels(key_of: Callable[[str], str]) -> Callable[[str], ImageName | None]:
    def name(path: str) -> ImageName | None:
        found = _CHANNEL.search(stem(path))
        if found is None:
            return None
        sample = _CHANNEL.sub("", stem(path))
        return ImageName(key_of(sample), sample, found.group(1))

    return name


def _mask(key_of: Callable[[str], str | None]) -> Callable[[str], str | None]:
    return lambda path: key_of(stem(path))


_WORDS = "the same path but for words as img and mask"
_CHANNELS = "the mask's path and a channel's number"

_BY_PATH = (
    Rule("the same path", _whole(str), _mask(str), by_path=True),
    Rule(_WORDS, _whole(roles.image_key), _mask(roles.mask_key), by_path=True),
    Rule(_CHANNELS, _channels(str), _mask(str), by_path=True),
    Rule(f"{_CHANNELS}, but for words", _channels(roles.image_key), _mask(roles.mask_key), by_path=True),
)


def _by_name(rule: Rule) -> Rule:
    def image(path: str) -> ImageName | None:
        found = rule.image(bare(path))
        if found is None or not found.key:
            return None
        return found._replace(sample=str(PurePosixPath(path).parent / found.sample))

    said = rule.said.replace("path", "file name")
    return Rule(said, image, lambda path: rule.mask(bare(path)) or None, by_path=False)


RULES = (*_BY_PATH, *map(_by_name, _BY_PATH))
