"""Which request shows what; no sockets."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from urllib.parse import unquote

from unetpp.core.errors import UnetppError
from unetpp.core.logs import redact
from unetpp.core.places import trial_of
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.report.live.blocks import Block
from unetpp.report.live.samples import SamplePredictions
from unetpp.report.live.views import folder_view, page_path, run_view, sweep_view
from unetpp.report.page import render_page
from unetpp.report.run.data import load_run_data
from unetpp.report.run.page import render_run_report
from unetpp.report.sweep.data import load_sweep_data
from unetpp.report.sweep.page import render_sweep_report
from unetpp.tuning.find_runs import RunListing, find_results

__all__ = ["Answer", "LinkedPage", "Site"]

logger = logging.getLogger(__name__)

_LISTING_S = 2.0
"""A listing is used for so long: several browsers ask as often as one."""
_HTML, _JSON = "text/html; charset=utf-8", "application/json"


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class LinkedPage:
    """A dashboard of another program on this machine."""

    title: str
    url: str
    embedded: bool
    """Whether it is shown inside the page, not merely linked."""


class Site:
    """The pages over one folder or URI; only runs and sweeps found there have a page.

    Args:
        uri: whose runs and sweeps are shown.
        cluster: called for the blocks about the cluster's nodes; it may raise UnetppError.
        pages: of other programs.
    """

    def __init__(
        self, uri: str, *, cluster: Callable[[], Sequence[Block]], pages: Sequence[LinkedPage]
    ) -> None:
        self._uri = open_storage(uri).uri
        self._cluster, self._pages = cluster, tuple(pages)
        self._samples = SamplePredictions()
        self._listing_lock, self._drawing_lock = threading.Lock(), threading.Lock()
        self._listing: tuple[float, RunListing] | None = None

    def answer(self, target: str) -> Answer:
        """Answer a GET of a path as it stands in the request; the query is ignored."""
        head, _, rest = unquote(target.partition("?")[0]).lstrip("/").partition("/")
        routes: Mapping[str, Callable[[str], Answer]] = {
            "": self._front,
            "live.js": lambda _: _script(),
            "run": lambda path: self._shell("run", path),
            "sweep": lambda path: self._shell("sweep", path),
            "report": self._report,
            "api": self._api,
        }
        if head not in routes:
            return _missing()
        try:
            return routes[head](rest)
        except UnetppError as error:
            return _json({"problem": redact(str(error))}, status=503)
        except Exception as error:  # one page's trouble must not end the server
            logger.warning("GET %s failed: %r", target, error)
            return _json({"problem": redact(f"{type(error).__name__}: {error}")}, status=500)

    def _front(self, _: str) -> Answer:
        name = self._uri.rstrip("/").rpartition("/")[2] or self._uri
        page = render_page(
            "live.html", title=name, uri=self._uri, is_front=True, sources=["/api/folder", "/api/cluster"],
            report=None, pages=self._pages,
        )  # fmt: skip
        return Answer(200, _HTML, page.encode())

    def _shell(self, kind: str, path: str) -> Answer:
        if not self._is_known(kind, path):
            return _missing()
        sources = [f"/api{page_path(kind, path)}"]
        if kind == "run":
            sources.append(f"/api{page_path('samples', path)}")
        page = render_page(
            "live.html", title=path.rpartition("/")[2] or "this folder", uri=self._at(path), is_front=False,
            sources=sources, report=page_path("report", path), pages=(),
        )  # fmt: skip
        return Answer(200, _HTML, page.encode())

    def _report(self, path: str) -> Answer:
        # matplotlib's settings belong to the process: one page at a time is drawn.
        with self._drawing_lock:
            if self._is_known("sweep", path):
                page = render_sweep_report(load_sweep_data(self._at(path)))
            elif self._is_known("run", path):
                page = render_run_report(load_run_data(self._at(path)))
            else:
                return _missing()
        return Answer(200, _HTML, page.encode())

    def _api(self, rest: str) -> Answer:
        kind, _, path = rest.partition("/")
        if kind == "folder":
            return _blocks("", folder_view(self._uri, self._found()))
        if kind == "cluster":
            return _blocks("", self._cluster())
        if kind == "sweep" and self._is_known("sweep", path):
            return _blocks(*sweep_view(self._at(path), path))
        if kind == "run" and self._is_known("run", path):
            return _blocks(*run_view(self._at(path)))
        if kind == "samples" and self._is_known("run", path):
            return _blocks("", [self._samples.block(self._at(path))])
        return _missing()

    def _is_known(self, kind: str, path: str) -> bool:
        """Paths are compared with what was found, never joined first: none leads out of the folder."""
        found = self._found()
        if kind == "sweep":
            return path in found.sweeps
        trial = trial_of(path)
        if trial is not None and trial[0] in found.sweeps:
            return RunDir(self._at(path)).exists()
        return path in found.runs

    def _found(self) -> RunListing:
        with self._listing_lock:
            now = time.monotonic()
            if self._listing is None or now - self._listing[0] > _LISTING_S:
                self._listing = (now, find_results(self._uri))
            return self._listing[1]

    def _at(self, path: str) -> str:
        return f"{self._uri.rstrip('/')}/{path}" if path else self._uri


def _blocks(state: str, blocks: Sequence[Block]) -> Answer:
    return _json({"state": state, "blocks": list(blocks)}, status=200)


def _json(value: Mapping[str, object], *, status: int) -> Answer:
    return Answer(status, _JSON, json.dumps(value, allow_nan=False).encode())


def _missing() -> Answer:
    return Answer(404, _HTML, render_page("missing.html", title="Not found").encode())


def _script() -> Answer:
    text = resources.files("unetpp.report").joinpath("templates/live.js").read_bytes()
    return Answer(200, "text/javascript; charset=utf-8", text)
