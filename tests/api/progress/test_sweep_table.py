"""What a sweep says of its trials, in plain lines."""

from unetpp.api.progress.sweep_table import SweepTable
from unetpp.config import load_config

EPOCH = {"epoch": 1, "val": {"levels": {"1": {"dice": 0.5}, "2": {"dice": 0.75}}}}


def test_trial_that_starts_again_is_said_to_have_been_lost(capsys):
    base = load_config(None, []).model_dump(mode="json")
    with SweepTable(base, epochs=1) as table:
        table.started(0, {})
        table.epoch(0, EPOCH)
        table.started(0, {})
        table.epoch(0, EPOCH)
    said = capsys.readouterr().err
    assert said.count("trial 0 started: the base configuration") == 1
    assert said.count("trial 0 goes on from its last checkpoint") == 1


def test_best_so_far_of_a_sweep_that_goes_on_is_that_of_all_its_trials(capsys):
    base = load_config(None, []).model_dump(mode="json")
    with SweepTable(base, epochs=1, reached=0.875) as table:
        table.started(3, {})
        table.epoch(3, EPOCH)
    assert "best so far 0.8750" in capsys.readouterr().err


def test_sweep_by_labels_shows_its_metric_of_the_levels_that_have_one(capsys):
    base = load_config(None, ["tune.metric=label_accuracy"]).model_dump(mode="json")
    levels = {"1": {"dice": 0.5}, "2": {"dice": 0.75, "label_accuracy": 0.25}}
    with SweepTable(base, epochs=1) as table:
        table.started(0, {})
        table.epoch(0, {"epoch": 1, "val": {"levels": levels}})
    assert "label_accuracy L2 0.2500  best so far 0.2500" in capsys.readouterr().err
