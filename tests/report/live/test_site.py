"""The live page's answers: what it shows, what it escapes, what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from html_page import HtmlPage
from unetpp.core.errors import UnetppError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.report.live.blocks import Block, table
from unetpp.report.live.site import Answer, LinkedPage, Site

WriteRun = Callable[..., str]
EVIL = "<script>alert(1)</script>"


def _no_nodes() -> list[Block]:
    return []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(str(tmp_path), cluster=_no_nodes, pages=())


def _blocks(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _page(answer: Answer) -> HtmlPage:
    assert answer.status == 200
    page = HtmlPage(answer.body.decode())
    assert page.open == []
    return page


def test_folder_lists_runs_with_their_latest_numbers(site: Site, write_run: WriteRun) -> None:
    write_run("a", epochs=5)
    write_run("b", epochs=2, finished=False)
    (runs,) = [b for b in _blocks(site.answer("/api/folder"))["blocks"] if b.get("title") == "Runs"]
    assert [row[1] for row in runs["rows"]] == ["finished", "unfinished"]
    assert runs["rows"][1][4] == "22.0"
    assert runs["rows"][0][0] == {"text": "a", "href": "/run/a"}


def test_folder_says_how_far_runs_are_by_epochs_or_minutes(site: Site, write_run: WriteRun) -> None:
    write_run("a", epochs=5)
    timed = RunDir(write_run("b", minutes=10))
    timed.write_metrics([{**timed.read_metrics()[-1], "epoch": 9}])
    rows = next(b for b in _blocks(site.answer("/api/folder"))["blocks"] if b.get("title") == "Runs")["rows"]
    assert [row[2] for row in rows] == ["5 of 20", "9 in 10 minutes"]


def test_folder_empty_says_so(site: Site) -> None:
    blocks = _blocks(site.answer("/api/folder"))["blocks"]
    assert [block["rows"] for block in blocks] == [[], []]


def test_folder_damaged_run_is_named_and_the_others_are_shown(site: Site, write_run: WriteRun) -> None:
    write_run("a")
    broken = write_run("b")
    RunDir(broken).storage.write("metrics.jsonl", b"{not json\n")
    blocks = _blocks(site.answer("/api/folder"))["blocks"]
    rows = next(block for block in blocks if block.get("title") == "Runs")["rows"]
    assert [row[1] for row in rows] == ["finished", "unreadable"]
    assert any(block["kind"] == "message" and block["text"].startswith("b:") for block in blocks)


def test_run_new_epoch_appears_without_restart(site: Site, write_run: WriteRun) -> None:
    uri = write_run("a", epochs=1, finished=False)
    before = _blocks(site.answer("/api/run/a"))
    epochs = RunDir(uri).read_metrics()
    RunDir(uri).write_metrics([*epochs, {**epochs[0], "epoch": 2}])
    after = _blocks(site.answer("/api/run/a"))
    points = [
        next(b for b in found["blocks"] if b["kind"] == "chart")["series"][0] for found in (before, after)
    ]
    assert [len(series["points"]) for series in points] == [1, 2]
    assert after["state"] == "unfinished"


def test_run_before_its_first_epoch_has_a_page(site: Site, write_run: WriteRun) -> None:
    write_run("a", epochs=0, finished=False)
    assert _blocks(site.answer("/api/run/a"))["state"] == "unfinished"
    assert "first validated epoch" in _blocks(site.answer("/api/samples/a"))["blocks"][0]["text"]


def test_run_without_finite_loss_leaves_a_gap(site: Site, write_run: WriteRun) -> None:
    uri = write_run("a", epochs=2)
    epochs = RunDir(uri).read_metrics()
    epochs[0]["loss"] = float("nan")
    RunDir(uri).write_metrics(epochs)
    chart = next(b for b in _blocks(site.answer("/api/run/a"))["blocks"] if b["kind"] == "chart")
    assert chart["series"][0]["points"][0] == [1, None]


def test_samples_of_evaluated_run_are_its_panels(site: Site, write_run: WriteRun) -> None:
    write_run("a", dice=[0.9, 0.2])
    (block,) = _blocks(site.answer("/api/samples/a"))["blocks"]
    assert [caption for caption, _ in block["entries"]] == ["s0, Dice 0.900", "s1, Dice 0.200"]


def test_samples_dataset_out_of_reach_says_so(site: Site, write_run: WriteRun) -> None:
    write_run("a")
    (block,) = _blocks(site.answer("/api/samples/a"))["blocks"]
    assert block["kind"] == "message"


@pytest.mark.slow
def test_run_named_like_html_is_harmless(site: Site, write_run: WriteRun) -> None:
    uri = write_run(f"x{EVIL.replace('/', '')}")
    name = Path(uri).name
    (row,) = next(b for b in _blocks(site.answer("/api/folder"))["blocks"] if b["title"] == "Runs")["rows"]
    assert row[0]["text"] == name
    assert "<" not in row[0]["href"]
    answer = site.answer(row[0]["href"])
    assert b"<script>alert" not in answer.body
    assert _page(answer).text.count(name) >= 1
    assert b"<script>alert" not in site.answer(f"/report/{name}").body


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/run/b",
        "/sweep/a",
        "/run/../a",
        "/run/%2e%2e/secret",
        "/run/..%2fsecret",
        "/run//etc",
        "/run/a/../a",
        "/api/run/../secret",
        "/api/samples/..%2fsecret",
        "/report/..%2fsecret",
        "/run/a/trials/0001",
        "/run/../secret/trials/0001",
        "/api/",
        "/api/unknown/a",
        "/run/a%00",
        "/%ff",
    ],
)
def test_unknown_path_is_not_found(tmp_path: Path, write_run: WriteRun, target: str) -> None:
    write_run("secret")
    write_run("root/a")
    site = Site(str(tmp_path / "root"), cluster=_no_nodes, pages=())
    assert site.answer(target).status == 404


def test_root_that_is_a_run_itself_has_a_page(write_run: WriteRun) -> None:
    site = Site(write_run("a"), cluster=_no_nodes, pages=())
    (row,) = next(b for b in _blocks(site.answer("/api/folder"))["blocks"] if b["title"] == "Runs")["rows"]
    assert site.answer(row[0]["href"]).status == 200
    assert _blocks(site.answer("/api/run/"))["state"] == "finished"


def test_cluster_that_does_not_answer_is_a_problem_of_its_part_only(tmp_path: Path) -> None:
    def gone() -> list[Block]:
        raise UnetppError("no Ray dashboard answers at http://127.0.0.1:1")

    site = Site(str(tmp_path), cluster=gone, pages=())
    answer = site.answer("/api/cluster")
    assert answer.status == 503
    assert "answers" in json.loads(answer.body)["problem"]
    assert site.answer("/api/folder").status == 200


def test_cluster_nodes_are_shown(tmp_path: Path) -> None:
    nodes = table("Cluster", ("Node",), [["head"]], "")
    site = Site(str(tmp_path), cluster=lambda: [nodes], pages=())
    assert _blocks(site.answer("/api/cluster"))["blocks"] == [nodes]


def test_front_links_and_embeds_other_pages(tmp_path: Path) -> None:
    pages = (
        LinkedPage("TensorBoard", "http://127.0.0.1:6006", embedded=True),
        LinkedPage("Ray dashboard", "http://127.0.0.1:8265", embedded=False),
    )
    page = Site(str(tmp_path), cluster=_no_nodes, pages=pages).answer("/")
    assert {"http://127.0.0.1:6006", "http://127.0.0.1:8265"} <= set(_page(page).references)
    assert page.body.count(b"<iframe") == 1


def test_bucket_is_followed_like_a_folder(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("a")
    storage = open_storage("memory://live-site")
    for path in open_storage(tmp_path).list():
        storage.write(path, open_storage(tmp_path).read(path))
    site = Site("memory://live-site", cluster=_no_nodes, pages=())
    assert _blocks(site.answer("/api/run/a"))["state"] == "finished"
