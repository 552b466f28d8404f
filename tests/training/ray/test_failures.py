"""How a run on Ray fails: errors keep their type, final ones are met once, and nothing goes on afterwards."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.util

from fakes import start_run, tiny_config, write_dataset
from unetpp.cli.main import run
from unetpp.core.errors import CorruptionError, InputError, NonFiniteError, UnetppError
from unetpp.core.manifest import IGNORE
from unetpp.core.rundir import RunDir
from unetpp.training.ray import trainer
from unetpp.training.ray.entry import WorkerArguments, train_worker
from unetpp.training.ray.trainer import fit

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(400)]

Worker = Callable[[WorkerArguments], None]


class Silent:
    """A listener that only keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def progress(self, values: dict[str, Any]) -> None:
        pass

    def epoch(self, metrics: dict[str, Any]) -> None:
        pass

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def stopping(self) -> None:
        pass


@pytest.fixture
def replace_worker(monkeypatch):
    """Run a function of the test in place of `train_worker`; closures travel to workers by value."""

    def replace(worker: Worker) -> None:
        monkeypatch.setattr(trainer, "train_worker", worker)

    return replace


def counting(folder: Path, before: Callable[[], None] = lambda: None) -> Worker:
    """A worker that leaves a file for each of its starts."""

    def worker(arguments: WorkerArguments) -> None:
        import tempfile

        tempfile.mkstemp(prefix=f"rank{ray.train.get_context().get_world_rank()}-", dir=folder)
        before()
        train_worker(arguments)

    folder.mkdir()
    return worker


def starts(folder: Path) -> int:
    return len(list(folder.glob("rank0-*")))


def held_groups() -> list[dict[str, Any]]:
    return [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]


def job_for(tmp_path: Path, rows: dict[str, int], mask_value: int = 1, **sections: dict[str, Any]):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, rows, val_mask_value=mask_value)
    return start_run(tiny_config(uri, **sections).model_copy(update={"out": str(tmp_path / "run")}), manifest)


def test_fit_that_diverges_is_not_tried_again_and_keeps_its_error(tmp_path, replace_worker):
    replace_worker(counting(tmp_path / "starts"))
    job = job_for(
        tmp_path, {"train": 18},
        optim={"name": "sgd", "lr": 1e30}, train={"max_nonfinite": 1, "clip": 0}, scale={"workers": 2},
    )  # fmt: skip
    listener = Silent()
    with pytest.raises(
        NonFiniteError, match=r"^2 steps had a NaN or Inf gradient.*max_nonfinite=1"
    ) as raised:
        fit(job, listener)
    assert type(raised.value) is NonFiniteError
    assert starts(tmp_path / "starts") == 1
    assert not any("goes on from the last checkpoint" in text for text in listener.warnings)


def test_fit_on_a_damaged_shard_is_not_tried_again_and_keeps_its_error(tmp_path, replace_worker):
    replace_worker(counting(tmp_path / "starts"))
    job = job_for(tmp_path, {"train": 18, "val": 4})
    # The worker reads the first unit by itself, of train; this one is read by a task of Ray Data.
    path = tmp_path / "data" / job.manifest.splits["val"].shards[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptionError, match=r"^shard .* differs from its sha256"):
        fit(job, Silent())
    assert starts(tmp_path / "starts") == 1


@pytest.mark.nightly
def test_fit_that_nothing_of_its_validation_counts_in_is_a_mistake_to_mend(tmp_path, replace_worker):
    replace_worker(counting(tmp_path / "starts"))
    job = job_for(tmp_path, {"train": 18, "val": 4}, mask_value=IGNORE)
    with pytest.raises(InputError, match="no image with a valid pixel was scored") as raised:
        fit(job, Silent())
    assert raised.value.exit_code == 2
    assert starts(tmp_path / "starts") == 1


def test_fit_whose_workers_fail_for_no_known_reason_is_tried_again(tmp_path, replace_worker):
    def fail() -> None:
        raise RuntimeError("NCCL: unhandled system error")

    replace_worker(counting(tmp_path / "starts", fail))
    job = job_for(tmp_path, {"train": 18}, scale={"max_failures": 1})
    with pytest.raises(UnetppError, match="NCCL: unhandled system error"):
        fit(job, Silent())
    assert starts(tmp_path / "starts") == 2


def test_fit_whose_listener_gives_up_while_a_step_hangs_leaves_nothing(tmp_path, replace_worker, monkeypatch):
    def worker(arguments: WorkerArguments) -> None:
        import unetpp.training.run.rank

        step = unetpp.training.run.rank.EpochHooks.request_after

        def hang(hooks: Any, info: Any) -> Any:
            if info.epoch == 1 and info.step == 3:
                threading.Event().wait()
            return step(hooks, info)

        unetpp.training.run.rank.EpochHooks.request_after = hang
        train_worker(arguments)

    class GivingUp(Silent):
        def epoch(self, metrics: dict[str, Any]) -> None:
            raise ValueError("the listener gave up")

    monkeypatch.setattr(trainer, "_STOP_TIMEOUT_S", 1)
    replace_worker(worker)
    job = job_for(tmp_path, {"train": 18}, scale={"workers": 2})
    before = held_groups()
    with pytest.raises(ValueError, match="the listener gave up"):
        fit(job, GivingUp())
    assert not any(thread.name == "torch-trainer" for thread in threading.enumerate())
    assert held_groups() == before


def test_train_whose_worker_meets_a_mistake_exits_2_with_its_message(tmp_path, capfd):
    write_dataset(tmp_path / "data", {"train": 18})
    out = tmp_path / "run"
    out.mkdir()
    (out / "checkpoints").write_text("a file where the folder must go")
    fields = ("model.depth=2", "model.width=4", "train.epochs=1", "data.batch_size=4", "train.trackers=[]")
    assert run(["train", f"data.uri={tmp_path / 'data'}", f"out={out}", *fields]) == 2
    assert "a file stands where a folder is needed" in capfd.readouterr().err
    assert RunDir(str(out)).read_result() is None
