"""Snapshots of a driver's study in the sweep's folder, so that nothing is lost with the driver's machine.

    at once       before a new trial is launched, and when one has ended      in the caller's thread
    soon          when an epoch was recorded                                  in the background

What a running trial reported since the last snapshot is reported again by the trial itself after a resume.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Protocol

from unetpp.core.errors import OwnedError, StorageError
from unetpp.core.ownership import Claim
from unetpp.core.storage import Storage
from unetpp.tuning.study.file import STUDY_FILE, snapshot

__all__ = ["Publisher", "StudyPublisher", "Unpublished"]

logger = logging.getLogger(__name__)

_INTERVAL_S = 3.0
_TIMES_ITS_DURATION = 30.0
"""The background waits so many times what the last snapshot took: they cost 3 % of the time."""


class Publisher(Protocol):
    """Whoever makes what the study records outlast the driver."""

    def now(self) -> None: ...

    def soon(self) -> None: ...

    def stop(self) -> None: ...


class Unpublished:
    """For a study that others read where it is."""

    def now(self) -> None:
        """Nothing is to be done."""

    def soon(self) -> None:
        """Nothing is to be done."""

    def stop(self) -> None:
        """Nothing is to be done."""


class StudyPublisher:
    """Uploads snapshots of an SQLite file; the thread in the background starts with the first `soon`.

    Args:
        file: the study.
        folder: of the sweep.
        claim: nothing is published any more once it was lost.
    """

    def __init__(self, file: Path, folder: Storage, claim: Claim | None) -> None:
        self._file, self._folder, self._claim = file, folder, claim
        self._publishing = threading.Lock()
        self._wanted, self._ends = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._took_s = 0.0

    def now(self) -> None:
        """Publish, and return when it is done.

        Raises:
            StorageError: the folder cannot be written; the sweep must end.
            OwnedError: the sweep has another owner.
        """
        self._raise_failure()
        self._publish()

    def soon(self) -> None:
        """Publish within a few seconds.

        Raises:
            StorageError, OwnedError: an earlier attempt failed for good.
        """
        self._raise_failure()
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="publish-study", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread in the background; what it had still to publish is published."""
        self._ends.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._wanted.is_set() and self._failure is None:
            try:
                self._publish()
            except (StorageError, OwnedError) as error:
                logger.warning("the last epochs are not published, their trials report them again: %s", error)

    def _run(self) -> None:
        while not self._ends.wait(max(_INTERVAL_S, _TIMES_ITS_DURATION * self._took_s)):
            if self._wanted.is_set():
                try:
                    self._publish()
                except Exception as error:  # raised in the caller's thread
                    self._failure = error
                    return

    def _publish(self) -> None:
        with self._publishing:
            self._wanted.clear()
            begun_s = time.monotonic()
            taken = self._file.with_suffix(".snapshot")
            snapshot(self._file, taken)
            try:
                self._upload(taken)
            except StorageError as error:
                raise StorageError(
                    f"the study could not be published, the sweep ends; what {self._folder.uri} holds by now "
                    f"is kept, and --resume goes on from it: {error}"
                ) from error
            finally:
                taken.unlink(missing_ok=True)
            self._took_s = time.monotonic() - begun_s

    def _upload(self, taken: Path) -> None:
        if self._claim is not None and not self._claim.holds():
            raise OwnedError(f"{self._folder.uri} was taken over by another process; it goes on there")
        self._folder.put(taken, STUDY_FILE)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
