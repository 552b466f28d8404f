"""Workers whose driver has lost the run to another one: they stop and leave its files alone."""

from dataclasses import replace

from fakes import LocalSession, start_run, tiny_config, train
from unetpp.core.ownership import Claim
from unetpp.core.rundir import RunDir
from unetpp.training.run.job import TrainJob


class OvertakenSession(LocalSession):
    """Another driver takes the run over during a step."""

    def __init__(self, run: RunDir, step: int) -> None:
        super().__init__()
        self._run, self._step = run, step
        self.files: dict[str, str] = {}

    def heartbeat(self, progress):
        request = super().heartbeat(progress)
        if self.steps == self._step:
            self._run.storage.write("owners/00002.json", b"")
            self.files = stamps(self._run)
        return request


def stamps(run: RunDir) -> dict[str, str]:
    return {path: run.storage.stamp(path) for path in run.storage.list()}


def owned_job(tmp_path, dataset, **fields) -> TrainJob:
    config = tiny_config(dataset[0], **fields).model_copy(update={"out": str(tmp_path / "run")})
    job = start_run(config, dataset[1])
    return replace(job, claim=Claim(job.run_uri, 1))


def test_overtaken_worker_writes_nothing_more_and_stops_at_its_next_step(tmp_path, dataset, caplog):
    job = owned_job(tmp_path, dataset)
    session = OvertakenSession(RunDir(job.run_uri), step=7)  # of five an epoch
    state = train(job, session)
    assert not state.finished
    assert stamps(RunDir(job.run_uri)) == session.files
    assert session.steps == 2 * 5 + 1
    assert "was taken over by another process; nothing more is written" in caplog.text


def test_overtaken_worker_writes_no_checkpoint_inside_an_epoch(tmp_path, dataset):
    job = owned_job(tmp_path, dataset, train={"checkpoint_every_steps": 2})
    session = OvertakenSession(RunDir(job.run_uri), step=2)
    train(job, session)
    assert RunDir(job.run_uri).checkpoints.steps() == []
    assert session.steps == 3


def test_worker_of_a_driver_that_owns_its_run_finishes(tmp_path, dataset):
    assert train(owned_job(tmp_path, dataset)).finished
