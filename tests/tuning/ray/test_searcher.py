"""What Tune is told when it asks for a trial and there is none to give."""

from collections.abc import Callable

from ray.tune.search import Searcher

from sweeps import epoch_metrics
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.searcher import LedgerSearcher

ONE = 'def space(trial):\n    trial.suggest_float("unused", 0.0, 1.0)\n    return {"model.width": 3}\n'


def test_searcher_while_a_repeat_waits_is_not_at_the_end(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger("tune.trials=2", source=ONE)
    searcher = LedgerSearcher(ledger, board=None)
    first = searcher.suggest("first")
    assert searcher.suggest("second") is None
    ledger.end(first["number"], "boom")
    assert searcher.suggest("second")["number"] == 1
    assert searcher.suggest("third") == Searcher.FINISHED


def test_searcher_after_the_repeat_was_given_its_result_is_at_the_end(
    open_ledger: Callable[..., Ledger],
) -> None:
    ledger = open_ledger("tune.trials=2", source=ONE)
    searcher = LedgerSearcher(ledger, board=None)
    first = searcher.suggest("first")
    assert searcher.suggest("second") is None
    ledger.report(first["number"], epoch_metrics(9, 0.8, finished=True))
    ledger.end(first["number"])
    assert searcher.suggest("second") == Searcher.FINISHED
    assert not ledger.interrupted


def test_searcher_a_repeat_of_a_trial_that_nothing_runs_is_waited_for_no_longer(
    open_ledger: Callable[..., Ledger],
) -> None:
    ledger = open_ledger("tune.trials=2", source=ONE)
    searcher = LedgerSearcher(ledger, board=None)
    first = searcher.suggest("first")
    assert searcher.suggest("second") is None
    ledger.end(first["number"])
    assert searcher.suggest("second") == Searcher.FINISHED
    assert ledger.interrupted
