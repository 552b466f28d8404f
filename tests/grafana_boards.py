"""The shipped Grafana boards and alert rules, and what they ask Prometheus for."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from unetpp.launch.definition_files import shipped

__all__ = ["BOARDS", "NAME", "NEEDS_GPU", "alert_rules", "expressions"]

BOARDS = sorted(shipped("grafana").glob("*.json"))
NEEDS_GPU = {"ray_node_gpus_utilization"}
NAME = re.compile(r"\bray_\w+")


def expressions(board: Path) -> list[str]:
    panels = json.loads(board.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [re.sub(r"\$\w+", ".*", expression) for expression in found]


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(shipped("prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]
