"""What `submit` and `jobs` share: the connection to a head, and following a job to its end."""

import json as json_module
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import emit, note
from unetpp.core.commands import shown_command

if TYPE_CHECKING:
    from unetpp.launch.dashboard_api import HeadInfo
    from unetpp.launch.submit.jobs import Job, Jobs

__all__ = ["Address", "connect", "follow"]

_SIGKILLED = 128 + 9
"""What the shell around a job's command says of one that was killed."""
_KILLED = 2
"""Exit code for a job that was killed or stopped and so has none of its own."""

Address = Annotated[
    str | None,
    typer.Option(help="The head's dashboard [default: RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265]."),
]


def connect(address: str | None) -> "tuple[HeadInfo, Jobs]":
    """The head at the address, checked: reachable, with this token, in these versions.

    Raises:
        UserError: one of these is not so.
    """
    from unetpp.launch.dashboard_api import check_versions, describe_head, head_url
    from unetpp.launch.token import require_token

    url, token = head_url(address), require_token()
    head = describe_head(url, token)
    check_versions(head)
    from unetpp.launch.submit.jobs import Jobs

    return head, Jobs(url, token)


def follow(jobs: "Jobs", job_id: str, *, json: bool) -> None:
    """Show a job's log until it ends and exit with its code; Ctrl-C leaves the job alone.

    Raises:
        typer.Exit: the job did not succeed.
        UserError: the head went away.
    """
    last_line = _LastLine(_log_text)
    try:
        job = jobs.follow(job_id, last_line)
    except KeyboardInterrupt:
        note(f"\n{job_id} goes on; attach again: {shown_command('jobs', 'logs', '-f', job_id)}")
        note(f"stop it: {shown_command('jobs', 'stop', job_id)}")
        emit({"job_id": job_id}, json=json)
        return
    result: dict[str, Any] = {"job_id": job_id, "status": job.status}
    if json and (printed := last_line.result()) is not None:
        result["result"] = printed
    emit(result, json=json)
    if (code := _exit_code(job)) != 0:
        raise typer.Exit(code)


def _exit_code(job: "Job") -> int:
    if job.status == "SUCCEEDED":
        return 0
    if job.exit_code is not None and 0 < job.exit_code != _SIGKILLED:
        return job.exit_code
    verb = job.metadata.get("verb", "train")
    how = "stopped" if job.status == "STOPPED" else "killed"
    note(f"{job.id} was {how}; what it stored is kept: submit {verb} again with --resume to go on")
    if job.status != "STOPPED" and job.message:
        note(job.message.splitlines()[0])
    return _KILLED


def _log_text(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class _LastLine:
    """Passes text on and keeps its last line."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._line = ""

    def __call__(self, text: str) -> None:
        self._on_text(text)
        *_, self._line = [line for line in (self._line + text).rstrip().splitlines() if line] or [""]
        self._line += "\n" if text.endswith("\n") else ""

    def result(self) -> dict[str, Any] | None:
        """The JSON object that a verb prints last."""
        try:
            value = json_module.loads(self._line)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None
