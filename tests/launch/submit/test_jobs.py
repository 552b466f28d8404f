"""The jobs of a head, as a fake one describes them: which are ours, and following one to its end."""

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.submit import jobs as jobs_module
from unetpp.launch.submit.jobs import Jobs

TOKEN = "0123456789abcdef" * 4


def details(job_id: str, status: str, **changes):
    return {
        "type": "SUBMISSION", "submission_id": job_id, "status": status, "entrypoint": "unetpp train",
        "metadata": {"unetpp_version": "0.1.0", "verb": "train"}, "start_time": 1000, **changes,
    }  # fmt: skip


@pytest.fixture
def jobs(fake_head, monkeypatch) -> Jobs:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://elsewhere:1")
    return Jobs(fake_head.url, TOKEN)


def follow(jobs: Jobs, job_id: str):
    texts: list[str] = []
    return jobs.follow(job_id, texts.append), "".join(texts)


def test_list_names_our_jobs_newest_first(fake_head, jobs):
    fake_head.jobs = {
        "old": details("old", "SUCCEEDED", start_time=1000),
        "new": details("new", "RUNNING", start_time=2000),
        "other": details("other", "RUNNING", start_time=3000, metadata={}),
    }
    assert [job.id for job in jobs.list()] == ["new", "old"]
    assert jobs.find(None).id == "new"


def test_find_without_jobs_says_how_to_submit_one(jobs):
    with pytest.raises(UserError, match="unetpp submit train"):
        jobs.find(None)


def test_find_unknown_job_says_that_a_restarted_head_forgets(jobs):
    with pytest.raises(UserError, match=r"no job lost.*--resume"):
        jobs.find("lost")


def test_follow_passes_the_log_on_and_returns_the_ended_job(fake_head, jobs):
    fake_head.jobs["j"] = details("j", "FAILED", driver_exit_code=3, end_time=2000)
    fake_head.connections = [["one\n", "two\n"]]
    job, text = follow(jobs, "j")
    assert text == "one\ntwo\n"
    assert (job.status, job.exit_code, job.ended_s) == ("FAILED", 3, 2.0)


def test_follow_over_a_lost_connection_repeats_and_loses_nothing(fake_head, jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "_POLL_S", 0.01)
    monkeypatch.setattr(jobs_module, "_SETTLE_S", 0.05)
    fake_head.jobs["j"] = details("j", "SUCCEEDED")
    fake_head.connections = [["one\ntw"], ["one\n", "two\n", "three\n"]]
    assert follow(jobs, "j")[1] == "one\ntwo\nthree\n"


def test_follow_after_the_head_forgot_the_job_says_how_to_go_on(fake_head, jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "_POLL_S", 0.01)
    fake_head.connections = [["one\n"], []]
    with pytest.raises(UserError, match="forgets its jobs"):
        follow(jobs, "j")


def test_wrong_token_is_named(fake_head):
    with pytest.raises(UserError, match="refuses this token"):
        Jobs(fake_head.url, "another")
