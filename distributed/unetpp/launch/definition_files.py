"""The files of the repository's `cluster/` folder, which a wheel carries along."""

from pathlib import Path

import unetpp
from unetpp.core.errors import UserError

__all__ = ["shipped"]


def shipped(name: str) -> Path:
    """A file or folder in `cluster/`: of the checkout, or of the installed package.

    Raises:
        UserError: the installation is incomplete.
    """
    package = Path(unetpp.__file__).resolve().parent
    folders = (package.parents[1] / "cluster", package / "definitions")
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise UserError(f"{name} must lie in {folders[0]} or {folders[1]}; it does not; install unetpp again")
