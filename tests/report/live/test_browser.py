"""The live page in a real browser: the script draws what the server tells, and names stay text."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from programs import chromium
from unetpp.report.live.server import LiveServer
from unetpp.report.live.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.chromium]
EVIL = "<img src=x onerror=document.title='owned'>"


@pytest.fixture
def site_url(tmp_path: Path, write_run: Callable[..., str], sweep: str) -> Iterator[str]:
    write_run("plain", dice=[0.9, 0.4])
    write_run(EVIL)
    server = LiveServer(Site(str(tmp_path), cluster=list, pages=()), 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.url
    server.shutdown()
    server.server_close()
    thread.join()


def _dom(url: str, profile: Path) -> str:
    """The document after five seconds of its own time."""
    browser = chromium()
    assert browser is not None
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


def test_front_draws_tables_and_runs_no_markup_of_a_name(site_url: str, tmp_path: Path) -> None:
    dom = _dom(site_url, tmp_path / "profile")
    assert 'href="/run/plain"' in dom
    assert 'href="/sweep/sw"' in dom
    assert "&lt;img src=x onerror" in dom
    assert "owned</title>" not in dom
    assert "not up to date" not in dom


def test_run_draws_its_curves_and_panels(site_url: str, tmp_path: Path) -> None:
    dom = _dom(f"{site_url}/run/plain", tmp_path / "profile")
    assert dom.count('class="plot"') == 4
    assert dom.count("<path d=") >= 6
    assert dom.count('src="data:image/png;base64,') == 2
    assert '<span class="badge good" id="state">finished</span>' in dom


def test_sweep_draws_trials_and_the_best_curve(site_url: str, tmp_path: Path) -> None:
    dom = _dom(f"{site_url}/sweep/sw", tmp_path / "profile")
    assert 'href="/run/sw/trials/0002"' in dom
    assert "trial 0, the best" in dom
    assert "&lt;b&gt;no&lt;/b&gt; memory" in dom
