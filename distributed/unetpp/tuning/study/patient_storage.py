"""An Optuna database storage that waits while its database is locked or away."""

import logging
import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from unetpp.compat.optuna import STORAGE_CALLS
from unetpp.core.errors import StorageError
from unetpp.core.storage.retry import Retry

__all__ = ["PatientStorage", "is_passing"]

logger = logging.getLogger(__name__)

_PATIENCE = Retry(deadline_s=600, first_s=0.5, longest_s=5)
"""A database server's restart, a failover or a backup takes seconds to minutes."""
_SQLITE_WAIT = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class PatientStorage(RDBStorage):
    """Repeats each call until the database answers; the sweep stands still meanwhile and loses nothing.

    A call whose answer was lost on its way may have been carried out. Repeating one that sets a value changes
    nothing; repeating one that adds a trial leaves a running one behind, which the ledger takes up.
    """

    patience: Retry = _PATIENCE

    def __init__(self, url: str, *, shown_url: str, engine_kwargs: dict[str, Any]) -> None:
        self._shown_url = shown_url
        super().__init__(url, engine_kwargs=engine_kwargs)


def is_passing(error: BaseException | None) -> bool:
    """Whether the database was locked, away or shutting down, rather than asked for something wrong."""
    if isinstance(error, optuna.exceptions.StorageInternalError):
        return is_passing(error.__cause__)
    if isinstance(error, sqlalchemy.exc.PendingRollbackError):
        return True  # the second statement on a connection that was lost in the first
    if not isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
        return False
    cause = error.orig
    return not isinstance(cause, sqlite3.Error) or cause.sqlite_errorcode & 0xFF in _SQLITE_WAIT


def _patiently(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def patient(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        def attempt(number: int) -> Any:
            try:
                answer = call(self, *args, **kwargs)
            except Exception as error:
                if number == 0 and is_passing(error):
                    logger.warning("the study's storage %s does not answer; waiting", self._shown_url)
                raise
            if number:
                logger.warning("the study's storage %s answers again", self._shown_url)
            return answer

        try:
            return self.patience(attempt, is_transient=is_passing)
        except Exception as error:
            if not is_passing(error):
                raise
            raise StorageError(
                f"the study's storage {self._shown_url} must answer within {self.patience.deadline_s:g} s; "
                f"it did not: {_innermost(error)}; bring it back, then resume the sweep"
            ) from error

    return patient


def _innermost(error: BaseException) -> str:
    cause: BaseException = error
    while (deeper := getattr(cause, "orig", None) or cause.__cause__) is not None:
        cause = deeper
    return " ".join(str(cause).split())


for _name in sorted(STORAGE_CALLS):
    setattr(PatientStorage, _name, _patiently(getattr(RDBStorage, _name)))
