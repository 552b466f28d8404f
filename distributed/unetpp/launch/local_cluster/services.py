"""What runs beside Ray's nodes: command lines only."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from unetpp.launch.definition_files import shipped

__all__ = ["missing_services", "prometheus_config", "service_commands"]

_HOST = "127.0.0.1"
_DISCOVERY = "prom_metrics_service_discovery.json"
"""Ray's head keeps the metrics ports of all nodes in this file of its temporary folder."""
_SHIPPED_CONFIG = "prometheus/prometheus.yml"


def service_commands(folder: Path, out: str, ports: Mapping[str, int]) -> dict[str, list[str]]:
    """Command line by name of every service that has a port.

    Args:
        folder: of the cluster's state; Prometheus keeps its data there.
        out: folder or URI with runs and sweeps.
        ports: by service, and others.
    """
    build: dict[str, Callable[[int], list[str]]] = {
        "prometheus": lambda port: _prometheus(folder, port),
        "optuna-dashboard": lambda port: _module("unetpp.launch.local_cluster.optuna_pages", out, str(port)),
        "tensorboard": lambda port: _module(
            *("tensorboard.main", "--logdir", out, "--reload_interval", "10"),
            *("--host", _HOST, "--port", str(port)),
        ),
        "page": lambda port: _module(
            *("unetpp", "dashboard", out, "--port", str(port), "--cluster", str(folder))
        ),
    }
    return {name: command(ports[name]) for name, command in build.items() if name in ports}


def missing_services() -> dict[str, str]:
    """What is not installed here, with the command that installs it."""
    missing = {}
    if shutil.which("prometheus") is None:
        missing["prometheus"] = "apt-get install prometheus, or a release from prometheus.io on PATH"
    if importlib.util.find_spec("optuna_dashboard") is None:
        missing["optuna-dashboard"] = "pip install 'unetpp[dashboard]'"
    if importlib.util.find_spec("tensorboard") is None:
        missing["tensorboard"] = "pip install 'unetpp[dashboard]'"
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


def _module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _prometheus(folder: Path, port: int) -> list[str]:
    return [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={_HOST}:{port}",
        "--storage.tsdb.retention.time=15d",
        "--log.level=warn",
    ]
