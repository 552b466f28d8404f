"""What a job is called, what it runs and what its record says; no network."""

import getpass
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import unetpp
from unetpp.core.errors import UserError
from unetpp.core.logs import redact

__all__ = ["JOB_MARK", "check_arguments", "entrypoint", "job_metadata", "new_job_id"]

# A job's own process inherits one thread from Ray's supervisor, which reserves no core.
_ALL_CORES = ("env", "-u", "OMP_NUM_THREADS")
JOB_MARK = "unetpp_version"
"""The metadata key that tells our jobs from others on the cluster."""


def new_job_id(words: Sequence[str]) -> str:
    """An id that says what it is and sorts by time; Ray refuses one that was used before."""
    return f"{'-'.join(words)}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def entrypoint(python: str, words: Sequence[str], arguments: Sequence[str]) -> str:
    """The shell command of a job.

    Raises:
        UserError: an argument holds a credential.
    """
    check_arguments(arguments)
    return shlex.join([*_ALL_CORES, python, "-m", "unetpp", *words, *arguments])


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse credentials on the command line: a job's record shows its command to whoever reads it.

    Raises:
        UserError: an argument holds one.
    """
    for argument in arguments:
        if (hidden := redact(argument)) != argument:
            raise UserError(
                f"{hidden} would show a credential in the job's record; "
                "set it in the nodes' environment (AWS_..., PGPASSWORD) and leave it out here"
            )


def job_metadata(
    words: Sequence[str], run_uri: str, config_hash: str, version: Mapping[str, object]
) -> dict[str, str]:
    """Who submitted what; every value is text."""
    sha = str(version.get("git_sha") or "")
    return {
        JOB_MARK: unetpp.__version__,
        "user": _user(),
        "verb": " ".join(words),
        "run": run_uri,
        "git_sha": sha + ("+changes" if sha and version.get("git_dirty") else ""),
        "config_hash": config_hash,
        "submitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for the user
        return "unknown"
