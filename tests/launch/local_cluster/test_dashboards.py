"""Grafana dashboards and alert rules; test_local.py has Prometheus answer what they ask for."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from grafana_boards import BOARDS, NAME, expressions
from unetpp.launch.definition_files import shipped
from unetpp.training.ray.metrics_export import METRICS


def promtool(*arguments: str) -> str:
    """What it complains about; empty if nothing."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_board_is_complete_and_its_panels_do_not_overlap(board: Path) -> None:
    content = json.loads(board.read_text())
    assert content["uid"] == f"unetpp-{board.stem}"
    cells: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & own
        cells |= own
    variables = {variable["name"] for variable in content["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(content["panels"]))) <= variables


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_own_metrics_of_a_board_are_exported_ones(board: Path) -> None:
    names = {name for e in expressions(board) for name in NAME.findall(e) if name.startswith("ray_unetpp")}
    assert names <= {f"ray_{name}" for name in METRICS}


def test_every_own_metric_is_on_a_board() -> None:
    shown = {name for board in BOARDS for e in expressions(board) for name in NAME.findall(e)}
    assert {f"ray_{name}" for name in METRICS} <= shown


@pytest.mark.prometheus
def test_promtool_accepts_config_and_rules() -> None:
    for kind, name in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
        done = subprocess.run(
            ["promtool", "check", kind, str(shipped(f"prometheus/{name}"))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    cases = Path(__file__).parent / "alert_cases.yml"
    shutil.copy(cases, tmp_path / "cases.yml")
    shutil.copy(shipped("prometheus/alerts.yml"), tmp_path / "alerts.yml")
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "cases.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
