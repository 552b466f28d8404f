"""Errors keep their type and message across processes, and say whether another attempt may succeed."""

import pickle

import pytest
from ray.exceptions import RayActorError, RayTaskError
from ray.train import WorkerGroupError
from ray.train.v2.api.exceptions import ControllerError

from unetpp.core import errors
from unetpp.core.errors import (
    ConfigError,
    CorruptionError,
    InputError,
    NonFiniteError,
    OutageError,
    StorageError,
    UnetppError,
    final_error,
    own_error,
)

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def in_a_task(cause: Exception) -> Exception:
    """As `ray.get` raises what a task raised."""
    return RayTaskError("read", "Traceback\n  somewhere\n", cause).as_instanceof_cause()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_survives_pickling(kind):
    again = pickle.loads(pickle.dumps(kind("lr=1 is too high; lower it")))
    assert (type(again), str(again)) == (kind, "lr=1 is too high; lower it")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_own_error_is_found_in_whatever_ray_wraps_around_it(kind):
    error = kind("lr=1 is too high; lower it")
    task = in_a_task(error)
    workers = WorkerGroupError("...", {0: RayActorError(), 1: task})
    for wrapped in (error, task, workers, in_a_task(workers), ControllerError(task), in_a_task(task)):
        found = own_error(wrapped)
        assert (type(found), str(found)) == (kind, "lr=1 is too high; lower it")


def test_own_error_raised_from_another_is_itself():
    error = ConfigError("outer")
    error.__cause__ = InputError("inner")
    assert own_error(error) is error


def test_own_error_of_a_stranger_is_none():
    for error in (RuntimeError("x"), RayActorError(), WorkerGroupError("...", {0: OSError("y")})):
        assert own_error(error) is None


def test_final_error_is_what_another_attempt_would_meet_again():
    for kind in (ConfigError, InputError, StorageError, CorruptionError, NonFiniteError):
        assert isinstance(final_error([RayActorError(), in_a_task(kind("x"))]), kind)
    for passing in (RayActorError(), RuntimeError("NCCL"), OutageError("x"), UnetppError("x"), MemoryError()):
        assert final_error([passing]) is None
