"""What Tune is told when it asks for a trial and there is none to give."""

from collections.abc import Callable

import pytest
from ray.tune.search import Searcher

from sweeps import epoch_metrics
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.searcher import LedgerSearcher

ONE = 'def space(trial):\n    trial.suggest_float("unused", 0.0, 1.0)\n    return {"model.width": 3}\n'


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    """Of a sweep of two trials, the second of which repeats the first."""
    return open_ledger("tune.trials=2", source=ONE)


@pytest.fixture
def searcher(ledger: Ledger) -> LedgerSearcher:
    """Trial 0 runs, trial 1 waits for its result."""
    searcher = LedgerSearcher(ledger, board=None)
    assert searcher.suggest("first")["number"] == 0
    assert searcher.suggest("second") is None
    return searcher


def test_searcher_while_a_repeat_waits_is_not_at_the_end(ledger: Ledger, searcher: LedgerSearcher) -> None:
    ledger.end(0, "boom")
    assert searcher.suggest("second")["number"] == 1
    assert searcher.suggest("third") == Searcher.FINISHED


def test_searcher_after_the_repeat_was_given_its_result_is_at_the_end(
    ledger: Ledger, searcher: LedgerSearcher
) -> None:
    ledger.report(0, epoch_metrics(9, 0.8, finished=True))
    ledger.end(0)
    assert searcher.suggest("second") == Searcher.FINISHED
    assert not ledger.interrupted


def test_searcher_a_repeat_of_a_trial_that_nothing_runs_is_waited_for_no_longer(
    ledger: Ledger, searcher: LedgerSearcher
) -> None:
    ledger.end(0)
    assert searcher.suggest("second") == Searcher.FINISHED
    assert ledger.interrupted


def test_searcher_while_a_population_runs_is_not_at_the_end_and_gives_a_paused_trial_again(
    open_ledger: Callable[..., Ledger],
) -> None:
    source = 'def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.1, 2.0)}\n'
    population = ("tune.scheduler=pbt", "tune.reduction_factor=2", "tune.trials=2")
    ledger = open_ledger(*population, source=source)
    searcher = LedgerSearcher(ledger, board=None)
    assert [searcher.suggest(name)["takeover"] for name in ("first", "second")] == [None, None]
    assert searcher.suggest("third") is None
    ledger.report(0, epoch_metrics(1, 0.8))
    assert ledger.report(1, epoch_metrics(1, 0.2)) == "stop"
    ledger.end(1)
    again = searcher.suggest("third")
    assert (again["number"], again["takeover"]["epoch"]) == (1, 1)
    assert again["takeover"]["donor_uri"].endswith("0000")
    for number in (0, 1):
        ledger.report(number, epoch_metrics(9, 0.8, finished=True))
        ledger.end(number)
    assert searcher.suggest("fourth") == Searcher.FINISHED
