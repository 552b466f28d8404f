"""Checkpoints inside an epoch come when asked for, and only then."""

from unetpp.training.run.hooks import CheckpointInterval


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_cadence_steps_follow_the_run_s_own_count():
    cadence = CheckpointInterval(3, 0.0)
    assert [step for step in range(1, 11) if cadence.is_due(step)] == [3, 6, 9]


def test_cadence_minutes_count_from_the_last_checkpoint():
    clock = Clock()
    cadence = CheckpointInterval(0, 2.0, clock)
    clock.now_s = 119.0
    assert not cadence.is_due(1)
    clock.now_s = 120.0
    assert cadence.is_due(2)
    cadence.saved()
    assert not cadence.is_due(3)
    clock.now_s = 240.0
    assert cadence.is_due(4)


def test_cadence_switched_off_is_never_due():
    clock = Clock()
    cadence = CheckpointInterval(0, 0.0, clock)
    clock.now_s = 1e9
    assert not any(cadence.is_due(step) for step in range(100))
