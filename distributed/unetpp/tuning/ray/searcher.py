"""The sweep's ledger as a Ray Tune searcher."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.tune.search import Searcher

from unetpp.training.ray.board import remove_placement_groups
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.trainable import reported_metrics
from unetpp.tuning.ray.unsaved import Unsaved

__all__ = ["LedgerSearcher"]


class LedgerSearcher(Unsaved, Searcher):  # type: ignore[misc]  # ray is not typed
    """Asks the ledger for trials and tells it what they report; decisions go to the trials' board."""

    def __init__(self, ledger: Ledger, board: Any) -> None:
        # Tune insists on a metric that every result has; what counts is the ledger's business.
        super().__init__(metric="loss", mode="min")
        self._ledger, self._board = ledger, board
        self._numbers: dict[str, int] = {}
        self.failure: Exception | None = None
        """What the ledger raised first; Tune turns it into text, or goes on for a while."""

    def suggest(self, trial_id: str) -> Any:
        with self._remembering_failure():
            spec = self._ledger.next_trial()
            is_waiting = self._ledger.is_waiting
        if spec is None:
            # Once told that it is the end, Tune does not ask again.
            return None if is_waiting else Searcher.FINISHED
        self._numbers[trial_id] = spec.number
        return {
            "number": spec.number,
            "config": spec.config.model_dump(mode="json"),
            "decisions": [asdict(decision) for decision in spec.decisions],
            "takeover": None if spec.takeover is None else asdict(spec.takeover),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        metrics = reported_metrics(result)
        with self._remembering_failure():
            number = self._numbers[trial_id]
            verdict = self._ledger.report(number, metrics)
        if verdict == "stop":
            # Waited for: the trial asks as soon as this returns.
            ray.get(self._board.stop.remote(number, int(metrics["epoch"])))

    def on_trial_complete(self, trial_id: str, error: bool = False, **_: Any) -> None:
        with self._remembering_failure():
            number = self._numbers.pop(trial_id)
        # A trial that must not be tried again has said so and ended without an error.
        cause = ray.get(self._board.failure.remote(number))
        if error:
            cause = cause or "its process died; see memory and Ray's logs"
            remove_placement_groups(ray.get(self._board.begin.remote(number)))
        with self._remembering_failure():
            self._ledger.end(number, cause)

    def save(self, checkpoint_path: str) -> None:
        """Tune asks for a file; what a resumed sweep needs is in the study."""
        Path(checkpoint_path).write_text("{}")

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was saved."""

    @contextmanager
    def _remembering_failure(self) -> Iterator[None]:
        if self.failure is not None:
            raise self.failure
        try:
            yield
        except Exception as error:
            self.failure = error
            raise
