"""unetpp jobs: look at, follow and stop submitted jobs."""

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from unetpp.cli.remote.job_client import Address, connect, follow
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.cli.terminal.tables import print_table

if TYPE_CHECKING:
    from unetpp.launch.submit.jobs import Job

__all__ = ["register"]

JobId = Annotated[str | None, typer.Argument(metavar="[ID]", help="A job's id [default: the newest job].")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    jobs = typer.Typer(help="Look at, follow and stop submitted jobs.", no_args_is_help=True)
    jobs.command("list")(_list)
    jobs.command("status")(_status)
    jobs.command("logs")(_logs)
    jobs.command("stop")(_stop)
    app.add_typer(jobs, name="jobs")


def _list(address: Address = None, json: Json = False) -> None:
    """List the jobs that unetpp submitted to the cluster, newest first."""
    found = connect(address)[1].list()
    if json:
        emit({"jobs": [_described(job) for job in found]}, json=True)
        return
    rows = [
        (
            job.id,
            job.status,
            job.metadata.get("user", ""),
            f"{_seconds(job) or 0} s",
            job.metadata.get("run", ""),
        )
        for job in found
    ]
    print_table(("job", "status", "user", "time", "run"), rows)


def _status(job_id: JobId = None, address: Address = None, json: Json = False) -> None:
    """Describe one job: state, exit code, what it makes, and the code it runs."""
    emit(_described(connect(address)[1].find(job_id)), json=json)


def _logs(
    job_id: JobId = None,
    do_follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the job ends.")] = False,
    address: Address = None,
    json: Json = False,
) -> None:
    """Print a job's log; with -f follow it, and exit with the job's code."""
    jobs = connect(address)[1]
    job = jobs.find(job_id)
    if do_follow:
        follow(jobs, job.id, json=json)
        return
    if json:
        emit({"job_id": job.id, "log": jobs.logs(job.id)}, json=True)
        return
    sys.stdout.write(jobs.logs(job.id))


def _stop(job_id: JobId = None, address: Address = None, json: Json = False) -> None:
    """Stop a job; training writes a checkpoint first, and --resume continues it."""
    jobs = connect(address)[1]
    job = jobs.find(job_id)
    stopping = jobs.stop(job.id)
    note(f"{job.id} is stopping" if stopping else f"{job.id} has ended already: {job.status}")
    emit({"job_id": job.id, "stopping": stopping}, json=json)


def _described(job: "Job") -> dict[str, object]:
    started = datetime.fromtimestamp(job.started_s, UTC) if job.started_s else None
    return {
        "job_id": job.id,
        "status": job.status,
        "exit_code": job.exit_code,
        "started_at": started and started.isoformat(timespec="seconds"),
        "seconds": _seconds(job),
        **{name: job.metadata.get(name, "") for name in _METADATA},
    }


_METADATA = ("user", "verb", "run", "git_sha", "config_hash", "submitted_at")


def _seconds(job: "Job") -> int | None:
    if job.started_s is None:
        return None
    return round((job.ended_s or time.time()) - job.started_s)
