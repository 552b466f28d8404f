"""What the values of mask files can mean; see `unetpp.data.pack.masks` for how each is read."""

from typing import Literal, get_args

__all__ = ["FOREGROUND_KINDS", "MASKS_ARE", "MasksAre"]

MasksAre = Literal["binary", "classes", "instances", "probabilities", "colours"]
"""
binary          foreground where the value is at least a threshold
classes         the values are class indices, 255 is ignored
instances       every value but 0 is the id of an object, all of which are foreground
probabilities   of the foreground: 0 to 1 in floating point, else 0 to the largest value of the dtype
colours         every colour is a class
"""
MASKS_ARE: tuple[MasksAre, ...] = get_args(MasksAre)
FOREGROUND_KINDS: tuple[MasksAre, ...] = ("binary", "instances", "probabilities")
"""Kinds whose task is binary."""
