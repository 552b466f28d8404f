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
