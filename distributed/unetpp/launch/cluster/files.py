"""The files of the repository's `cluster/` folder, which a wheel carries along."""

from pathlib import Path

import unetpp

__all__ = ["shipped"]

_PACKAGE = Path(unetpp.__file__).parent
_PLACES = (
    _PACKAGE / "cluster_files",  # in a wheel
    _PACKAGE.parent.parent / "cluster",  # in a checkout
)


def shipped(path: str) -> Path:
    """Where a file of `cluster/` lies.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for place in _PLACES:
        if (place / path).exists():
            return place / path
    raise FileNotFoundError(f"{path} is in neither of {', '.join(map(str, _PLACES))}; install unetpp again")
