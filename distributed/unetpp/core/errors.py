"""The exception tree; every class crosses process boundaries (picklable by default).

    UnetppError                 something the program names and explains; exit 1
      UserError                 the caller can fix it; exit 2, no traceback
        ConfigError             a config key or value breaks a rule
        InputError              an input file or folder breaks a rule
        StorageError            a URI cannot be used: bucket, credential, endpoint, disk
          AccessError           one path is refused; others below the same URI may be allowed
          OutageError           the storage did not answer until the retry deadline
        ExistsError             the output exists and would be overwritten
        OwnedError              another process works on the run or sweep
      CorruptionError           bytes do not match their digest after every refetch
      NonFiniteError            loss or gradients stayed NaN/Inf beyond the limit
      CheckpointError           no usable checkpoint where one is needed

Messages state the rule, the value and the fix:
``batch_size=3 must be divisible by workers=2; use 4``.

A worker that dies or fails is started again from its checkpoint, but not where the same data and
configuration would only fail in the same way: classes say so by `may_pass`.
"""

from collections.abc import Iterable, Iterator

__all__ = [
    "AccessError",
    "CheckpointError",
    "ConfigError",
    "CorruptionError",
    "ExistsError",
    "InputError",
    "NonFiniteError",
    "OutageError",
    "OwnedError",
    "StorageError",
    "UnetppError",
    "UserError",
    "final_error",
    "own_error",
]


class UnetppError(Exception):
    """Base of every error that unetpp raises on purpose."""

    exit_code = 1
    may_pass = True
    """Whether another attempt may succeed, with nothing changed."""


class UserError(UnetppError):
    """A mistake the caller can fix; the command line prints it without a traceback."""

    exit_code = 2
    may_pass = False


class ConfigError(UserError):
    """A config key or value breaks a rule."""


class InputError(UserError):
    """An input file or folder breaks a rule."""


class StorageError(UserError):
    """A storage URI cannot be used as given."""


class AccessError(StorageError):
    """One path may not be read or written; others below the same URI may be allowed."""


class OutageError(StorageError):
    """The storage did not answer until the retry deadline."""

    may_pass = True


class ExistsError(UserError):
    """The output exists already and would be overwritten."""


class OwnedError(UserError):
    """Another process works on the run or sweep, or has taken it over."""


class CorruptionError(UnetppError):
    """Bytes differ from their recorded digest after every refetch."""

    may_pass = False


class NonFiniteError(UnetppError):
    """Loss or gradients stayed NaN or Inf beyond the allowed number of steps."""

    may_pass = False


class CheckpointError(UnetppError):
    """No usable checkpoint was found where one is needed."""

    may_pass = False


def own_error(error: BaseException) -> UnetppError | None:
    """The error of this tree inside what Ray has wrapped around it, or None."""
    for wrapped in _wrapped(error):
        if (found := own_error(wrapped)) is not None:
            return found
    return error if isinstance(error, UnetppError) else None


def final_error(errors: Iterable[BaseException]) -> UnetppError | None:
    """The first of these that the same attempt would meet again; None where all may pass."""
    found = (own_error(error) for error in errors)
    return next((error for error in found if error is not None and not error.may_pass), None)


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """By the names that Ray's classes use: a task's cause, a controller's failure, workers' by rank."""
    failures = getattr(error, "worker_failures", {})
    for part in (
        getattr(error, "cause", None),
        getattr(error, "controller_failure", None),
        *(failures[rank] for rank in sorted(failures)),
    ):
        if isinstance(part, BaseException):
            yield part
