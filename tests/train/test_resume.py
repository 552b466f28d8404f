"""A run that was stopped and resumed ends with the very weights of one that was not."""

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.core.rundir import RunDir


@pytest.mark.parametrize("stop_after", [1, 5, 7, 11])
@pytest.mark.parametrize("extra", [{}, {"ema": 0.9}])
def test_resume_after_a_stop_at_any_step_is_bit_equal(tmp_path, dataset, stop_after, extra):
    uri, manifest = dataset
    options = {"model": {"dropout": 0.1, "norm": "batch"}, "train": extra}
    whole = start_run(
        tiny_config(uri, **options).model_copy(update={"out": str(tmp_path / "whole")}), manifest
    )
    train(whole)
    cut = start_run(tiny_config(uri, **options).model_copy(update={"out": str(tmp_path / "cut")}), manifest)
    state = train(cut, LocalSession(stop_after=stop_after))
    assert state.global_step == stop_after
    resumed = train(cut)
    assert resumed.finished
    assert final_weights(cut) == final_weights(whole)
    losses = [epoch["val"]["dice"] for epoch in RunDir(cut.run_uri).read_metrics()]
    assert losses == [epoch["val"]["dice"] for epoch in RunDir(whole.run_uri).read_metrics()]
