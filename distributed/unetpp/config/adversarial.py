"""Bounds of an attack in the raw values of a dataset's images."""

from unetpp.core.manifest import Manifest

__all__ = ["USUAL_EPSILON", "missing_epsilon", "raw_range"]

USUAL_EPSILON = 8.0
"""Of 255: what most published figures are for."""
_LARGEST = {"uint8": 255.0, "uint16": 65535.0}


def raw_range(dtype: str) -> tuple[float, float]:
    """Least and largest value that a pixel can have; float32 has no bounds."""
    if dtype in _LARGEST:
        return 0.0, _LARGEST[dtype]
    return float("-inf"), float("inf")


def missing_epsilon(epsilon: float | None, manifest: Manifest, field: str) -> str | None:
    """What is wrong where no epsilon is given and the type of the images suggests none; else None.

    Args:
        epsilon: largest change of a pixel in raw values; without one it is `USUAL_EPSILON` for 8 bits.
        manifest: the dataset.
        field: what gives the value.
    """
    if epsilon is not None or manifest.dtype == "uint8":
        return None
    low = min(channel.p01 for channel in manifest.channel_stats)
    high = max(channel.p99 for channel in manifest.channel_stats)
    usual = USUAL_EPSILON / _LARGEST["uint8"] * (high - low)
    return (
        f"{field} must be given in the images' own values where they are {manifest.dtype}; nearly all of "
        f"these lie between {low:g} and {high:g}; use {field}={usual:.3g}"
    )
