"""Following a job from the command line: its log, its exit code, and leaving it alone."""

import json

import pytest
import typer

from unetpp.cli.remote.job_client import follow
from unetpp.launch.submit.jobs import Job

LOG = 'epoch 1/1\n{"run": "r", "epochs": 1}\n'


class EndedJob:
    """Stands for the head's jobs: one that has written a log and ended, or that goes on until Ctrl-C."""

    def __init__(self, status: str, exit_code: int | None = None, *, texts: tuple[str, ...] = (LOG,)) -> None:
        self.job = Job("job-1", status, exit_code, "killed by the kernel\nmore", {"verb": "tune"}, 1.0, 2.0)
        self.texts = texts

    def follow(self, job_id: str, on_text):
        for text in self.texts:
            on_text(text)
        if not self.job.ended:
            raise KeyboardInterrupt
        return self.job


def exit_code(job: EndedJob, *, json: bool = False) -> int:
    try:
        follow(job, "job-1", json=json)
    except typer.Exit as stop:
        return stop.exit_code
    return 0


@pytest.mark.parametrize(
    ("status", "code", "expected"), [("SUCCEEDED", 0, 0), ("FAILED", 3, 3), ("FAILED", 2, 2)]
)
def test_follow_exits_with_the_code_of_the_job(status, code, expected):
    assert exit_code(EndedJob(status, code)) == expected


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        ("FAILED", -9, "killed"),
        ("FAILED", 137, "killed"),
        ("FAILED", None, "killed"),
        ("STOPPED", None, "stopped"),
    ],
)
def test_follow_killed_job_says_how_to_go_on(status, code, word, capsys):
    assert exit_code(EndedJob(status, code)) == 2
    message = capsys.readouterr().err
    assert f"job-1 was {word}" in message
    assert "submit tune again with --resume" in message


def test_follow_shows_the_log_on_stderr_and_the_verbs_result_in_json(capsys):
    assert exit_code(EndedJob("SUCCEEDED", 0, texts=(LOG[:20], LOG[20:])), json=True) == 0
    output = capsys.readouterr()
    assert output.err == LOG
    reply = json.loads(output.out)
    assert reply == {"job_id": "job-1", "status": "SUCCEEDED", "result": {"run": "r", "epochs": 1}}


def test_follow_job_without_a_result_line_has_none(capsys):
    exit_code(EndedJob("FAILED", 1, texts=("error: it broke\n",)), json=True)
    assert json.loads(capsys.readouterr().out) == {"job_id": "job-1", "status": "FAILED"}


def test_follow_ctrl_c_leaves_the_job_and_says_how_to_attach_again(capsys):
    assert exit_code(EndedJob("RUNNING")) == 0
    output = capsys.readouterr()
    assert "job-1 goes on; attach again: unetpp jobs logs -f job-1" in output.err
    assert "job_id: job-1" in output.out
