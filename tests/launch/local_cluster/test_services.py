"""Command lines of what runs beside Ray."""

from pathlib import Path

import pytest
import yaml

from unetpp.launch.definition_files import shipped
from unetpp.launch.local_cluster.services import missing_services, prometheus_config, service_commands

PORTS = {"page": 8700, "tensorboard": 6006, "optuna-dashboard": 8080, "prometheus": 9090}


def test_missing_services_prometheus_absent_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install prometheus" in missing_services()["prometheus"]


def test_service_commands_without_a_port_leave_the_service_out(tmp_path: Path) -> None:
    assert set(service_commands(tmp_path, "runs", {"page": 8700, "ray": 6379})) == {"page"}


def test_service_commands_listen_on_loopback_only(tmp_path: Path) -> None:
    commands = service_commands(tmp_path, "s3://bucket/runs", PORTS)
    assert set(commands) == set(PORTS)
    for name, command in commands.items():
        assert str(PORTS[name]) in " ".join(command)
        assert "0.0.0.0" not in " ".join(command)


def test_prometheus_config_is_the_shipped_one_with_this_clusters_discovery_file() -> None:
    config = yaml.safe_load(prometheus_config("/tmp/unetpp-ray-x"))
    original = yaml.safe_load(shipped("prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (discovery,) = job["file_sd_configs"]
    assert discovery["files"] == ["/tmp/unetpp-ray-x/prom_metrics_service_discovery.json"]
    assert all(Path(name).is_file() for name in config["rule_files"])
    assert config["global"] == original["global"]
