"""Words that say what a file is rather than which: `img_x`, `x_mask`, `images/x`, `x_leftImg8bit`."""

import re

from unetpp.data.pack.pairing.names import stem

__all__ = ["image_key", "is_mask", "is_other_rendering", "mask_key"]

_IMAGE_WORDS = r"images?|imgs?|im|sat|raw|rgb|photo|orig|original|leftImg8bit|input"
_MASK_WORDS = (
    r"cp_masks|masks?|gt|seg|segmentations?|labels?|lbls?|annotations?|annot|ground[_\-]?truth|manual\d?"
    r"|gt(?:Fine|Coarse)_labelIds"
)
_RENDERINGS = re.compile(r"_gt(?:Fine|Coarse)_(?:color|instanceIds|instanceTrainIds|labelTrainIds)$")
"""Cityscapes keeps the same annotation in several files; the one of class ids is the mask."""


class _Role:
    """The words of images or those of masks."""

    def __init__(self, words: str) -> None:
        self._ending = re.compile(rf"[_\-. ](?:{words})$", re.IGNORECASE)
        self._beginning = re.compile(rf"^(?:{words})(?:[_\-. ]+|(?=\d))", re.IGNORECASE)
        self._whole = re.compile(rf"(?:{words})(?:Tr|Ts)?", re.IGNORECASE)

    def without(self, path: str) -> str:
        """A stem without the words, each of which is taken once at most."""
        *folders, name = path.split("/")
        folders = [folder for folder in folders if not self._whole.fullmatch(folder)]
        # A name that is nothing but the word, `case1/image`, is told by its folder.
        name = "" if self._whole.fullmatch(name) else self._beginning.sub("", self._ending.sub("", name))
        return "/".join([*folders, name])


_IMAGE, _MASK = _Role(_IMAGE_WORDS), _Role(_MASK_WORDS)


def image_key(name: str) -> str:
    """An image's stem without the words that say that it is one."""
    return _IMAGE.without(name)


def mask_key(name: str) -> str | None:
    """A mask's stem without the words that say that it is one; None for a second file of one annotation."""
    return None if _RENDERINGS.search(name) else _MASK.without(name)


def is_mask(path: str) -> bool:
    """Whether the path's own words call the file a mask, or another file of an annotation."""
    return is_other_rendering(path) or _MASK.without(stem(path)) != stem(path)


def is_other_rendering(path: str) -> bool:
    """Whether the file repeats an annotation in another form."""
    return _RENDERINGS.search(stem(path)) is not None
