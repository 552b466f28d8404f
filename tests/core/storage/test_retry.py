import pytest

from unetpp.core.storage.retry import Retry


class Clock:
    """Time that passes only while sleeping."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.waits_s.append(seconds)


def make(clock: Clock, deadline_s: float = 100.0) -> Retry:
    return Retry(
        deadline_s,
        first_s=1.0,
        longest_s=8.0,
        clock=lambda: clock.now_s,
        sleep=clock.sleep,
        jitter=lambda _, high: high,
    )


def fail_until(attempt_that_works: int):
    def operation(attempt: int) -> int:
        if attempt < attempt_that_works:
            raise ConnectionError(attempt)
        return attempt

    return operation


def test_retry_transient_errors_waits_longer_each_time_and_returns() -> None:
    clock = Clock()
    assert make(clock)(fail_until(5), is_transient=lambda _: True) == 5
    assert clock.waits_s == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_retry_permanent_error_is_raised_at_once() -> None:
    clock = Clock()
    with pytest.raises(ConnectionError):
        make(clock)(fail_until(1), is_transient=lambda _: False)
    assert clock.waits_s == []


def test_retry_past_the_deadline_raises_the_last_error() -> None:
    clock = Clock()
    with pytest.raises(ConnectionError, match="3"):
        make(clock, deadline_s=10.0)(fail_until(99), is_transient=lambda _: True)
    assert clock.now_s <= 10.0
