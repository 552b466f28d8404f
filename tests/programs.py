"""Programs that some tests need, each with a marker of its name; `make servers` installs them."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["PROGRAMS", "chromium", "postgresql", "prometheus"]


@cache
def postgresql() -> Path | None:
    """Folder of the server's programs."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return packaged[-1].parent if packaged else None


@cache
def prometheus() -> str | None:
    """The server, which comes with promtool."""
    return shutil.which("prometheus") and shutil.which("promtool")


@cache
def chromium() -> str | None:
    """Any browser of its family."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


PROGRAMS: dict[str, Callable[[], object]] = {
    "postgresql": postgresql,
    "prometheus": prometheus,
    "chromium": chromium,
}
