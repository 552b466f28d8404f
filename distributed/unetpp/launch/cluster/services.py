"""What runs beside Ray's nodes: command lines only."""

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from unetpp.launch.cluster.files import shipped

__all__ = ["PAGE", "missing_services", "prometheus_config", "service_commands"]

_HOST = "127.0.0.1"
PAGE = "page"
_DISCOVERY = "prom_metrics_service_discovery.json"
"""Ray's head keeps the metrics ports of all nodes in this file of its temporary folder."""
_SHIPPED_CONFIG = "prometheus/prometheus.yml"


def service_commands(folder: Path, out: str, ports: Mapping[str, int]) -> dict[str, Sequence[str]]:
    """Command line by name of every service that is installed here; the page is always among them.

    Args:
        folder: of the cluster's state; Prometheus keeps its data there.
        out: folder or URI with runs and sweeps.
        ports: by service.
    """
    python = sys.executable
    commands: dict[str, Sequence[str]] = {
        "prometheus": _prometheus(folder, ports),
        "optuna-dashboard": (
            *(python, "-m", "unetpp.launch.cluster.optuna_pages"),
            *(out, str(ports.get("optuna-dashboard"))),
        ),
        "tensorboard": (
            *(python, "-m", "tensorboard.main", "--logdir", out),
            *("--host", _HOST, "--port", str(ports.get("tensorboard")), "--reload_interval", "10"),
        ),
        PAGE: (
            *(python, "-m", "unetpp", "dashboard", out),
            *("--port", str(ports.get(PAGE)), "--cluster", str(folder)),
        ),
    }
    absent = missing_services()
    return {name: command for name, command in commands.items() if name not in absent}


def missing_services() -> dict[str, str]:
    """What is not installed here, with the command that installs it."""
    missing = {}
    if shutil.which("prometheus") is None:
        missing["prometheus"] = "apt-get install prometheus, or a release from prometheus.io on PATH"
    if importlib.util.find_spec("optuna_dashboard") is None:
        missing["optuna-dashboard"] = "pip install 'unetpp[dashboard]'"
    if importlib.util.find_spec("tensorboard") is None:
        missing["tensorboard"] = "pip install tensorboard"
    return missing


def prometheus_config(temp_dir: str) -> str:
    """The shipped configuration, reading this cluster's discovery file and the shipped rules (YAML text)."""
    path = shipped(_SHIPPED_CONFIG)
    config = yaml.safe_load(path.read_text())
    config["rule_files"] = [str(path.parent / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        for discovery in job.get("file_sd_configs", []):
            discovery["files"] = [f"{temp_dir}/{_DISCOVERY}"]
    return yaml.safe_dump(config, sort_keys=False)


def _prometheus(folder: Path, ports: Mapping[str, int]) -> Sequence[str]:
    return (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={_HOST}:{ports.get('prometheus')}",
        "--storage.tsdb.retention.time=15d",
        "--log.level=warn",
    )
