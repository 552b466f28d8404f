"""The live page of a sweep under way."""

import json
from pathlib import Path
from typing import Any

from unetpp.report.live.site import Site


def _site(folder: Path) -> Site:
    return Site(str(folder), cluster=list, pages=())


def _get(site: Site, target: str) -> dict[str, Any]:
    answer = site.answer(target)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_sweep_shows_trials_with_states_newest_first(tmp_path: Path, sweep: str) -> None:
    found = _get(_site(tmp_path), "/api/sweep/sw")
    trials = next(block for block in found["blocks"] if block.get("title") == "Trials")
    assert [(row[0]["text"], row[1]) for row in trials["rows"]] == [
        ("trial 2", "running"), ("trial 1", "fail"), ("trial 0", "complete"),
    ]  # fmt: skip
    assert found["state"] == "unfinished"


def test_sweep_curve_of_the_best_trial_is_emphasised(tmp_path: Path, sweep: str) -> None:
    (chart,) = [b for b in _get(_site(tmp_path), "/api/sweep/sw")["blocks"] if b["kind"] == "chart"]
    assert chart["emphasised"] == "trial 0"
    assert {series["name"]: len(series["points"]) for series in chart["series"]} == {
        "trial 0": 3,
        "trial 2": 2,
    }


def test_sweep_failure_is_told_without_its_secret(tmp_path: Path, sweep: str) -> None:
    text = json.dumps(_get(_site(tmp_path), "/api/sweep/sw"))
    assert "OutOfMemoryError" in text
    assert "hunter2" not in text


def test_sweep_trials_lead_to_pages_of_their_own(tmp_path: Path, sweep: str) -> None:
    site = _site(tmp_path)
    trials = next(b for b in _get(site, "/api/sweep/sw")["blocks"] if b.get("title") == "Trials")
    assert site.answer(trials["rows"][0][0]["href"]).status == 200
    assert site.answer("/run/sw/trials/0009").status == 404


def test_sweep_that_is_the_root_itself_has_pages(sweep: str) -> None:
    site = _site(Path(sweep))
    trials = next(b for b in _get(site, "/api/sweep/")["blocks"] if b.get("title") == "Trials")
    assert trials["rows"][0][0]["href"] == "/run/trials/0002"
    assert site.answer("/run/trials/0002").status == 200


def test_sweep_is_listed_apart_from_runs(tmp_path: Path, sweep: str) -> None:
    sweeps, runs = _get(_site(tmp_path), "/api/folder")["blocks"]
    assert sweeps["rows"][0][1:4] == ["unfinished", "3 of 4", "0.800"]
    assert runs["rows"] == []


def test_sweep_whose_study_is_gone_is_a_problem_not_a_crash(tmp_path: Path, sweep: str) -> None:
    Path(sweep, "study.db").unlink()
    site = _site(tmp_path)
    answer = site.answer("/api/sweep/sw")
    assert answer.status == 503
    assert "study" in json.loads(answer.body)["problem"]
    assert _get(site, "/api/folder")["blocks"][0]["rows"][0][1] == "unreadable"
