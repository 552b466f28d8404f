"""Where a study is kept: any Optuna URL, SQLite by default."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from optuna.storages import RDBStorage

from unetpp.core.errors import StorageError

__all__ = ["existing_file", "has_password", "open_storage_url", "shown_url"]

_SQLITE_LOCK_WAIT_S = 60
"""SQLite's own 5 s are too few where a dashboard or a backup reads the file."""


def open_storage_url(url: str) -> RDBStorage:
    """Connect, and create the tables where they are missing.

    Raises:
        StorageError: the URL is malformed, its driver is missing, or nothing answers.
    """
    with _explained(url):
        parsed = sqlalchemy.make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        # A pool would hand out connections that a database server has dropped over night.
        options = {"connect_args": {"timeout": _SQLITE_LOCK_WAIT_S}} if sqlite else {"pool_pre_ping": True}
        return RDBStorage(url, engine_kwargs=options)


def existing_file(url: str) -> bool:
    """Whether an SQLite URL names a file that is there; other URLs are for their server to answer.

    Raises:
        StorageError: the URL is malformed.
    """
    with _explained(url):
        parsed = sqlalchemy.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def has_password(url: str) -> bool:
    """Whether the URL itself holds one.

    Raises:
        StorageError: the URL is malformed.
    """
    with _explained(url):
        return sqlalchemy.make_url(url).password is not None


def shown_url(url: str) -> str:
    """The URL without its password, for messages."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "the given URL"


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.ArgumentError as error:
        raise StorageError(
            "tune.storage must be an Optuna URL such as sqlite:///study.db or "
            "postgresql+psycopg://user@host/database; it is none"
        ) from error
    except ImportError as error:
        raise StorageError(
            f"the database driver for {shown_url(url)} is missing; pip install psycopg[binary] for "
            "postgresql+psycopg://, or the driver the URL names"
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(f"the study's storage {shown_url(url)} cannot be used: {cause}") from error
