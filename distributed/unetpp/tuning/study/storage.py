"""Where a study is kept: any Optuna URL, SQLite by default."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from unetpp.core.errors import StorageError
from unetpp.core.storage.retry import Retry
from unetpp.tuning.study.patient_storage import PatientStorage, is_passing

__all__ = ["existing_file", "has_password", "is_database_url", "open_storage_url", "shown_url"]

_SQLITE_LOCK_WAIT_S = 10
"""SQLite waits inside one call that Ctrl-C cannot interrupt; the storage repeats it for longer."""
_FIRST_LOCK = Retry(deadline_s=120)
"""A backup of the file passes; a server that is not there at the start is more likely a wrong URL."""
_SECRET_WORDS = ("password", "passwd", "secret", "token")
_HIDDEN = "hidden"


def open_storage_url(url: str) -> PatientStorage:
    """Connect, and create the tables where they are missing; the storage waits for a database that is away.

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
        return _FIRST_LOCK(
            lambda _: PatientStorage(url, shown_url=shown_url(url), engine_kwargs=options),
            # Another process may create the tables at the same moment; once they are there all is well.
            is_transient=lambda error: (
                isinstance(error, sqlalchemy.exc.IntegrityError) or (sqlite and is_passing(error))
            ),
        )


def existing_file(url: str) -> bool:
    """Whether an SQLite URL names a file that is there; other URLs are for their server to answer.

    Raises:
        StorageError: the URL is malformed.
    """
    with _explained(url):
        parsed = sqlalchemy.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def is_database_url(text: str) -> bool:
    """Whether it names a kind of database; the folder or URI of a sweep does not."""
    try:
        sqlalchemy.make_url(text).get_dialect()
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        return False
    return True


def has_password(url: str) -> bool:
    """Whether the URL itself holds one, as user information or as an option.

    Raises:
        StorageError: the URL is malformed.
    """
    with _explained(url):
        parsed = sqlalchemy.make_url(url)
    return parsed.password is not None or any(map(_is_secret, parsed.query))


def shown_url(url: str) -> str:
    """The URL without its passwords, for messages."""
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        return "the given URL"
    hidden = {name: _HIDDEN for name in parsed.query if _is_secret(name)}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True)


def _is_secret(option: str) -> bool:
    return any(word in option.lower() for word in _SECRET_WORDS)


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
