"""What was finished survives whatever happens next."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.core.errors import StorageError
from unetpp.core.rundir import RunDir


@contextmanager
def files_no_larger_than(limit_bytes: int) -> Iterator[None]:
    """The kernel refuses larger files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
def test_full_disk_while_saving_keeps_the_checkpoint_before(tmp_path, dataset):
    uri, manifest = dataset
    job = start_run(tiny_config(uri).model_copy(update={"out": str(tmp_path / "run")}), manifest)
    whole = start_run(tiny_config(uri).model_copy(update={"out": str(tmp_path / "whole")}), manifest)
    train(whole)
    train(job, LocalSession(stop_after=7))
    with files_no_larger_than(4096), pytest.raises(StorageError):
        train(job)
    assert RunDir(job.run_uri).checkpoints.steps()[-1] == 7
    train(job)
    assert final_weights(job) == final_weights(whole)


def test_tracker_that_fails_leaves_the_run_alone(tmp_path, dataset, caplog):
    uri, manifest = dataset
    config = tiny_config(uri, train={"trackers": ("tensorboard",)})
    job = start_run(config.model_copy(update={"out": str(tmp_path / "run")}), manifest)
    (tmp_path / "run" / "tensorboard").write_text("a file where the folder must go")
    state = train(job)
    assert state.finished
    assert "tensorboard failed and is switched off" in caplog.text


def test_tensorboard_holds_every_epoch_and_the_viewer_need_not_be_installed(tmp_path, dataset):
    uri, manifest = dataset
    config = tiny_config(uri, train={"trackers": ("tensorboard",)})
    job = start_run(config.model_copy(update={"out": str(tmp_path / "run")}), manifest)
    with pytest.MonkeyPatch.context() as absent:
        absent.setitem(sys.modules, "tensorboard", None)
        train(job)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("loss")]
    stored = [epoch["loss"] for epoch in RunDir(job.run_uri).read_metrics()]
    assert losses == pytest.approx(stored)
    assert "val/levels/1/dice" in events.Tags()["scalars"]
