"""Who takes over whose weights in a population, and with which loss."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.config.sections.loss import LossConfig
from unetpp.tuning.population.rule import EXPLORED, Population
from unetpp.tuning.study.exploits import Exploit

MAX_EPOCHS = 9


def loss(**fields) -> dict:
    return LossConfig(**fields).model_dump(mode="json")


def population(qualities: list[float], epoch: int = 2, *, interval: int = 2, factor: int = 3) -> Population:
    """Trials 0, 1, ... that have reached an epoch, each with its number as the weight of cross-entropy."""
    found = Population(interval, factor, MAX_EPOCHS, seed=0)
    for trial, quality in enumerate(qualities):
        found.join(trial, "same", loss(ce=float(trial + 1)))
        found.enter(trial, epoch, quality)
    found.join(len(qualities), "same", loss(ce=0.0, focal=0.5))
    return found


def test_decide_the_worst_third_takes_over_one_of_the_best_third():
    found = population([0.9, 0.1, 0.5, 0.8, 0.4]).decide(5, 2, 0.2)
    assert (found.epoch, found.donor in (0, 3)) == (2, True)
    assert found.before == loss(ce=0.0, focal=0.5)
    assert found.after["ce"] in (
        pytest.approx(0.8 * (found.donor + 1)),
        pytest.approx(1.2 * (found.donor + 1)),
    )


@pytest.mark.parametrize("quality", [0.45, 0.9])
def test_decide_a_trial_that_is_not_among_the_worst_goes_on(quality):
    assert population([0.9, 0.1, 0.5, 0.8, 0.4]).decide(5, 2, quality) is None


@pytest.mark.parametrize("known", [[], [0.9]])
def test_decide_too_few_others_are_waited_for_by_nobody(known):
    assert population(known).decide(len(known), 2, 0.0) is None


def test_decide_a_quality_that_is_not_finite_is_the_worst_and_no_donor():
    assert population([0.9, 0.5, 0.8]).decide(3, 2, math.nan) is not None
    assert population([math.nan, math.nan, 0.5]).decide(3, 2, 0.1) is None


@pytest.mark.parametrize(("epoch", "due"), [(1, False), (2, True), (3, True), (9, False)])
def test_decide_is_due_at_or_past_each_interval_before_the_end(epoch, due):
    assert (population([0.9, 0.8], epoch).decide(2, epoch, 0.1) is not None) == due


def test_decide_is_due_once_an_interval():
    found = population([0.9, 0.8], 3)
    found.enter(2, 2, 0.85)
    assert found.decide(2, 3, 0.1) is None


def test_decide_trials_of_other_networks_and_other_epochs_are_not_compared():
    found = population([0.9, 0.8], 2)
    found.join(7, "other", loss())
    assert found.decide(7, 2, 0.1) is None
    assert found.decide(2, 4, 0.1) is None


def test_decide_a_donor_that_gave_its_own_weights_up_at_the_epoch_is_none():
    found = Population(2, 2, MAX_EPOCHS, seed=0)
    for trial in range(4):
        found.join(trial, "same", loss())
    found.enter(0, 2, 0.9)
    found.enter(1, 2, 0.5, found.decide(1, 2, 0.5))
    found.enter(2, 2, 0.4, found.decide(2, 2, 0.4))
    # Of four, two are the best: trial 1, which computes what trial 0 did, is the second.
    assert found.decide(3, 2, 0.3).donor == 0


def test_decide_a_donor_gives_the_loss_that_it_had_in_that_epoch():
    found = Population(1, 2, MAX_EPOCHS, seed=0)
    found.join(0, "same", loss(ce=1.0))
    found.enter(0, 1, 0.9)
    changed = Exploit(2, 5, loss(ce=1.0), loss(ce=7.0))
    found.enter(0, 2, 0.1, changed)
    found.enter(0, 3, 0.9)
    found.join(1, "same", loss())
    assert found.decide(1, 1, 0.1).after["ce"] in (pytest.approx(0.8), pytest.approx(1.2))
    found.enter(1, 1, 0.5)
    assert found.decide(1, 3, 0.1).after["ce"] in (pytest.approx(5.6), pytest.approx(8.4))
    assert found.last_exploit(0) == changed


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1), st.integers(2, 4))
def test_decide_is_a_function_of_what_was_entered(qualities, quality, factor):
    one, other = (population(qualities, factor=factor).decide(len(qualities), 2, quality) for _ in range(2))
    assert one == other
    if one is not None:
        donor = loss(ce=float(one.donor + 1))
        assert qualities[one.donor] >= quality
        for name, value in one.after.items():
            expected = [donor[name] * 0.8, donor[name] * 1.2] if name in EXPLORED else [donor[name]]
            assert value in expected
        assert LossConfig.model_validate(one.after)
