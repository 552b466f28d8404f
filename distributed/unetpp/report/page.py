"""HTML pages from templates, and where they are written."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import unetpp
from unetpp.core.storage import open_storage

__all__ = ["render_page", "write_page"]


def render_page(template: str, **values: Any) -> str:
    """The page as text: values are escaped unless they are Markup, and a missing one is an error."""
    environment = Environment(
        loader=PackageLoader("unetpp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=unetpp.__version__, **values)


def write_page(page: str, folder_uri: str, out: Path | None) -> str:
    """Write to `out`, or as `report.html` into the folder, which may be in a bucket; returns where."""
    storage = open_storage(folder_uri if out is None else out.parent)
    name = "report.html" if out is None else out.name
    storage.write(name, page.encode())
    return f"{storage.uri}/{name}"
