"""A run goes on with the weights that another one had after the same epoch, exactly, and once."""

import json

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.core.errors import CheckpointError
from unetpp.core.rundir import RunDir
from unetpp.tuning.population.members import ALL_CHECKPOINTS
from unetpp.tuning.population.takeover import Takeover, take_over

EPOCHS = 4


class _PausedError(Exception):
    pass


class _UntilEpoch(LocalSession):
    """Ends a trial at its report of an epoch."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last

    def report(self, metrics):
        super().report(metrics)
        if metrics["epoch"] == self._last:
            raise _PausedError


def job(dataset, out, *, seed=0, epochs=EPOCHS, **loss):
    uri, manifest = dataset
    fields = {"epochs": epochs, "keep_checkpoints": ALL_CHECKPOINTS, "ema": 0.5}
    config = tiny_config(uri, train=fields, loss=loss)
    data = config.data.model_copy(update={"seed": seed})
    return start_run(config.model_copy(update={"out": str(out), "data": data}), manifest)


@pytest.fixture(scope="module")
def donor(tmp_path_factory, dataset):
    """A whole run, only read."""
    made = job(dataset, tmp_path_factory.mktemp("donor") / "run", ce=1.0)
    train(made)
    return made


def paused(dataset, out, **options):
    made = job(dataset, out, **options)
    with pytest.raises(_PausedError):
        train(made, _UntilEpoch(2))
    return made


def with_loss_of(made, donor):
    return made.config.model_copy(update={"loss": donor.config.loss})


@pytest.mark.slow
def test_take_over_goes_on_as_the_donor_did_to_the_last_bit(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run", ce=0.1, focal=1.0)
    config = with_loss_of(made, donor)
    take_over(config, Takeover(2, donor.run_uri))
    changed = type(made)(config, made.manifest, made.run_uri)
    assert final_weights(changed) != final_weights(donor)
    train(changed)
    assert final_weights(changed) == final_weights(donor)
    metrics = RunDir(made.run_uri).read_metrics()
    assert [epoch["epoch"] for epoch in metrics] == [1, 2, 3, 4]
    assert [epoch["loss"] for epoch in metrics[2:]] == [
        epoch["loss"] for epoch in RunDir(donor.run_uri).read_metrics()[2:]
    ]
    assert RunDir(made.run_uri).read_config()["loss"]["focal"] == 0


@pytest.mark.slow
def test_take_over_keeps_its_own_order_of_the_samples(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run", ce=1.0, seed=5)
    take_over(made.config, Takeover(2, donor.run_uri))
    train(made)
    assert final_weights(made) != final_weights(donor)


@pytest.mark.slow
def test_take_over_best_epoch_is_one_of_the_new_weights(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run")
    run = RunDir(made.run_uri)
    assert run.checkpoints.best_record() is not None
    take_over(made.config, Takeover(2, donor.run_uri))
    assert run.checkpoints.best_record() is None
    train(made)
    later = {epoch["step"] for epoch in run.read_metrics()[2:]}
    assert run.checkpoints.best_record()["step"] in later


@pytest.mark.slow
def test_take_over_is_done_once_and_again_where_it_was_cut_off(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run", ce=0.1)
    run, takeover, config = RunDir(made.run_uri), Takeover(2, donor.run_uri), with_loss_of(made, donor)
    take_over(config, takeover)
    done = run.storage.read("takeover.json")
    step = run.checkpoints.steps()[-1]
    # Cut off between the folder's deletion and its checkpoint's manifest.
    run.storage.delete(f"checkpoints/step-{step:08d}/manifest.json")
    run.storage.write("takeover.json", json.dumps({**json.loads(done), "done": False}).encode())
    take_over(config, takeover)
    assert run.storage.read("takeover.json") == done
    changed = type(made)(config, made.manifest, made.run_uri)
    train(changed)
    ended = final_weights(changed)
    take_over(config, takeover)
    assert final_weights(changed) == ended == final_weights(donor)


def test_take_over_later_checkpoints_give_way(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run")
    run = RunDir(made.run_uri)
    step = run.checkpoints.steps()[-1]
    run.checkpoints.save(step + 1, run.checkpoints.load(step))
    take_over(made.config, Takeover(2, donor.run_uri))
    assert run.checkpoints.steps()[-1] == step


def test_take_over_of_a_checkpoint_that_is_gone_is_refused_and_changes_nothing(dataset, donor, tmp_path):
    made = paused(dataset, tmp_path / "run")
    before = final_weights(made)
    other = job(dataset, tmp_path / "other", epochs=1)
    train(other)
    with pytest.raises(CheckpointError, match="must have the metrics of epoch 2"):
        take_over(made.config, Takeover(2, other.run_uri))
    assert final_weights(made) == before
