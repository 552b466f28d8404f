"""Ray Jobs of this package on one cluster: submit, look, follow, stop."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from unetpp.core.errors import UserError
from unetpp.launch.submit.submission import JOB_MARK

__all__ = ["ENDED", "Job", "Jobs"]

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_RECONNECT_S = 30.0
_POLL_S = 1.0
_SETTLE_S = 10.0
"""Between the end of a job's log and the end of the job; Ray polls its process every 0.1 s."""
_LOST = (aiohttp.ClientError, requests.RequestException, ConnectionError, OSError)


@dataclass(frozen=True)
class Job:
    """One job as its cluster describes it; times are Unix seconds."""

    id: str
    status: str
    exit_code: int | None
    message: str
    metadata: Mapping[str, str]
    started_s: float | None
    ended_s: float | None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Jobs:
    """The jobs of the head at a URL."""

    def __init__(self, url: str, token: str) -> None:
        """Connect.

        Raises:
            UserError: the head does not answer or refuses the token.
        """
        self.url = url
        # Ray lets these variables override an address given in code.
        os.environ["RAY_API_SERVER_ADDRESS"] = url
        # They would name each upload by its hash and say when the log's connection closes.
        for module in ("dashboard_sdk", "job.sdk"):
            logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
        with _Explained(url):
            self._client = JobSubmissionClient(
                url,
                headers={"Authorization": f"Bearer {token}"},
                verify=os.environ.get("SSL_CERT_FILE") or True,
            )

    def submit(
        self,
        job_id: str,
        entrypoint: str,
        *,
        runtime_env: dict[str, Any],
        metadata: dict[str, str],
        num_gpus: float = 0.0,
    ) -> None:
        """Upload the code and start the job.

        Args:
            num_gpus: reserved for the job's own process, on any node; without them it runs on the head node.

        Raises:
            UserError: the head does not answer, refuses the token or the upload.
        """
        with _Explained(self.url):
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=job_id,
                runtime_env=runtime_env,
                metadata=metadata,
                entrypoint_num_gpus=num_gpus or None,
            )

    def list(self) -> list[Job]:
        """The jobs that this package submitted, newest first."""
        with _Explained(self.url):
            found = [_job(details) for details in self._client.list_jobs()]
        ours = [job for job in found if JOB_MARK in job.metadata]
        return sorted(ours, key=lambda job: job.started_s or 0.0, reverse=True)

    def find(self, job_id: str | None) -> Job:
        """One job; the newest of this package for None.

        Raises:
            UserError: there is none.
        """
        if job_id is not None:
            with _Explained(self.url, job_id):
                return _job(self._client.get_job_info(job_id))
        jobs = self.list()
        if not jobs:
            raise UserError(f"{self.url} knows no job of unetpp; submit one: unetpp submit train ...")
        return jobs[0]

    def logs(self, job_id: str) -> str:
        """All that the job has written so far."""
        with _Explained(self.url, job_id):
            text: str = self._client.get_job_logs(job_id)
            return text

    def stop(self, job_id: str) -> bool:
        """Ask the job to stop, which writes a checkpoint first; False where it has ended already."""
        with _Explained(self.url, job_id):
            return bool(self._client.stop_job(job_id))

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> Job:
        """Pass on the job's log from its beginning until the job ends, over lost connections too.

        Raises:
            UserError: the head stays away, or was restarted and has forgotten the job.
        """
        seen = _Seen(on_text)
        lost_s: float | None = None
        while True:
            try:
                if lost_s is not None:
                    self.find(job_id)
                asyncio.run(self._tail(job_id, seen))
                if (job := self._settled(job_id)) is not None:
                    return job
                lost_s = None
            except (*_LOST, RuntimeError, _UnreachableError) as error:
                lost_s = lost_s or time.monotonic()
                if time.monotonic() - lost_s > _RECONNECT_S:
                    raise UserError(_gone(self.url, job_id)) from error
                time.sleep(_POLL_S)

    async def _tail(self, job_id: str, seen: "_Seen") -> None:
        seen.restart()
        async for text in self._client.tail_job_logs(job_id):
            seen.add(text)

    def _settled(self, job_id: str) -> Job | None:
        """The ended job; None if it goes on although its log's connection has ended."""
        deadline_s = time.monotonic() + _SETTLE_S
        while True:
            job = self.find(job_id)
            if job.ended:
                return job
            if time.monotonic() > deadline_s:
                return None
            time.sleep(_POLL_S / 5)


class _UnreachableError(UserError):
    """The head does not answer, now."""


class _Seen:
    """Passes on what is new of a text that starts again with every connection."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._passed = self._position = 0

    def restart(self) -> None:
        self._position = 0

    def add(self, text: str) -> None:
        new = text[max(0, self._passed - self._position) :]
        self._position += len(text)
        self._passed = max(self._passed, self._position)
        if new:
            self._on_text(new)


class _Explained:
    """Turns what goes wrong between client and head into one line that says what to do."""

    def __init__(self, url: str, job_id: str = "") -> None:
        self._url, self._job_id = url, job_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AuthenticationError):
            raise UserError(
                f"{self._url} refuses this token; copy the head node's token "
                "and set RAY_AUTH_TOKEN_PATH to the copy"
            ) from error
        if isinstance(error, _LOST):
            raise _UnreachableError(f"no Ray head answers at {self._url}: {_reason(error)}") from error
        if isinstance(error, RuntimeError):
            if self._job_id and "404" in str(error):
                raise UserError(_unknown(self._url, self._job_id)) from error
            raise UserError(f"{self._url} refused the request: {_reason(error)}") from error


def _job(details: Any) -> Job:
    return Job(
        id=details.submission_id or details.job_id or "",
        status=str(getattr(details.status, "value", details.status)),
        exit_code=details.driver_exit_code,
        message=details.message or "",
        metadata=details.metadata or {},
        started_s=details.start_time / 1000 if details.start_time else None,
        ended_s=details.end_time / 1000 if details.end_time else None,
    )


def _reason(error: BaseException) -> str:
    """The first line that says something, without the HTML or traceback of a reply."""
    text = re.split(r"Traceback|<html", str(error))[0].strip()
    return next(iter(text.splitlines()), type(error).__name__)


def _unknown(url: str, job_id: str) -> str:
    return (
        f"{url} knows no job {job_id}; a restarted head forgets its jobs: "
        "see `unetpp jobs list`, or submit the same command again with --resume"
    )


def _gone(url: str, job_id: str) -> str:
    return (
        f"the head at {url} has stopped answering while job {job_id} ran; nothing that was stored is lost: "
        "start the cluster again and submit the same command with --resume"
    )
