"""How long a job took from its submission."""

import time

from unetpp.core.milestones import SUBMITTED_AT, since_submission


def test_since_submission_outside_a_job_is_nothing(monkeypatch):
    monkeypatch.delenv(SUBMITTED_AT, raising=False)
    assert since_submission() == ""


def test_since_submission_counts_from_the_client(monkeypatch):
    monkeypatch.setenv(SUBMITTED_AT, "1000.0")
    monkeypatch.setattr(time, "time", lambda: 1012.34)
    assert since_submission() == "12.3 s after submission"


def test_since_submission_of_a_client_whose_clock_is_ahead_is_not_negative(monkeypatch):
    monkeypatch.setenv(SUBMITTED_AT, "1000.0")
    monkeypatch.setattr(time, "time", lambda: 999.0)
    assert since_submission() == "0.0 s after submission"
