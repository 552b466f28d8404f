"""MLflow and W&B as far as training uses them, with one active run in a process as theirs have."""

import sys
import uuid
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

__all__ = ["Server", "TrackerRun", "install"]


@dataclass
class TrackerRun:
    name: str | None
    status: str = "RUNNING"
    epochs: list[int] = field(default_factory=list)


class Server:
    """Runs by id, and those that are open in this process."""

    def __init__(self) -> None:
        self.runs: dict[str, TrackerRun] = {}
        self.active: list[str] = []
        self.fails_to: set[str] = set()

    def die(self) -> None:
        """As after kill -9 of the process: nothing ended its runs."""
        self.active.clear()

    def open(self, run_id: str, name: str | None) -> None:
        if self.active:
            raise RuntimeError(f"Run {self.active[-1]} is already active")
        self.runs.setdefault(run_id, TrackerRun(name)).status = "RUNNING"
        self.active.append(run_id)

    def log(self, run_id: str, values: dict[str, float]) -> None:
        self._fail_if_told("log")
        self.runs[run_id].epochs.append(int(values["epoch"]))

    def end(self, run_id: str, status: str) -> None:
        self.active.remove(run_id)
        self.runs[run_id].status = status

    def _fail_if_told(self, action: str) -> None:
        if action in self.fails_to:
            raise ConnectionError(f"{action}: the server is gone")


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> Server:
    """Put the module in place of `name` and return the server it talks to."""
    server = Server()
    module: Any = ModuleType(name)
    {"mlflow": _fill_mlflow, "wandb": _fill_wandb}[name](module, server)
    monkeypatch.setitem(sys.modules, name, module)
    return server


def _fill_mlflow(module: Any, server: Server) -> None:
    def start_run(*, run_id: str | None, run_name: str | None) -> Any:
        if run_id is not None and run_id not in server.runs:
            raise LookupError(f"Run {run_id} not found")
        run_id = run_id or uuid.uuid4().hex
        server.open(run_id, run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def log_metrics(values: dict[str, float], *, step: int, run_id: str) -> None:
        server.log(run_id, values)

    module.start_run, module.log_metrics = start_run, log_metrics
    module.log_params = lambda _params: server._fail_if_told("log_params")
    module.end_run = lambda status: server.end(server.active[-1], status)


def _fill_wandb(module: Any, server: Server) -> None:
    def init(*, resume: str | None = None, name: str | None = None, **options: Any) -> Any:
        run_id = options["id"]
        if run_id in server.runs and resume is None:
            raise RuntimeError(f"run {run_id} exists")
        server.open(run_id, name)
        return SimpleNamespace(
            log=lambda values, **_: server.log(run_id, values),
            finish=lambda exit_code: server.end(run_id, "KILLED" if exit_code else "FINISHED"),
        )

    module.init = init
