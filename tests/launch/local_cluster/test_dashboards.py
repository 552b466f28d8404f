"""Grafana dashboards and alert rules against what Prometheus really scrapes from a run and a sweep."""

import contextlib
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from cluster_shell import LocalCluster, get, wait_until, write_space
from unetpp.launch.definition_files import shipped
from unetpp.training.ray.metrics_export import METRICS

BOARDS = sorted(shipped("grafana").glob("*.json"))
NEEDS_GPU = {"ray_node_gpus_utilization"}
_NAME = re.compile(r"\bray_\w+")
_PERIOD_S = 900


def expressions(board: Path) -> list[str]:
    panels = json.loads(board.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [re.sub(r"\$\w+", ".*", expression) for expression in found]


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(shipped("prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


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
    names = {name for e in expressions(board) for name in _NAME.findall(e) if name.startswith("ray_unetpp")}
    assert names <= {f"ray_{name}" for name in METRICS}


def test_every_own_metric_is_on_a_board() -> None:
    shown = {name for board in BOARDS for e in expressions(board) for name in _NAME.findall(e)}
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


@pytest.mark.prometheus
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("local cluster")
def test_every_expression_has_data_after_a_run_and_a_sweep(cluster: LocalCluster, tmp_path: Path) -> None:
    space = write_space(tmp_path)
    cluster.shell("train", *cluster.training("seen", "scale.workers=2", "train.epochs=60"))
    cluster.shell("tune", space, *cluster.training("seen-sweep", "tune.trials=2", "train.epochs=3"))
    wanted = {
        expression
        for board in BOARDS
        for expression in expressions(board)
        if not NEEDS_GPU & set(_NAME.findall(expression))
    }
    alerts = {name for rule in alert_rules() for name in _NAME.findall(rule["expr"])}

    def missing() -> set[str]:
        return {expression for expression in wanted | alerts if not _series(cluster, expression)}

    with contextlib.suppress(pytest.fail.Exception):
        wait_until(lambda: not missing(), "data for every expression")
    assert missing() == set()


def _series(cluster: LocalCluster, expression: str) -> list[Any]:
    now = time.time()
    query = urlencode({"query": expression, "start": now - _PERIOD_S, "end": now, "step": 5})
    status, body = get(f"{cluster.url('prometheus')}/api/v1/query_range?{query}")
    assert status == 200, body
    series: list[Any] = json.loads(body)["data"]["result"]
    return series
