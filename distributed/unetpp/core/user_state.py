"""Where this user's own records lie on this machine, out of reach of who writes to runs and buckets."""

import os
from pathlib import Path

__all__ = ["user_state"]


def user_state(name: str) -> Path:
    """The folder $XDG_STATE_HOME/unetpp/`name`; nothing is created."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "unetpp" / name
