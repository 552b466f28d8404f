"""Ownership of a run or a sweep, a lease with a heartbeat: one process at a time, wherever they run.

    owners/00003.json     see record.py; the highest number owns

A process claims by creating the next number, which only one can. It overwrites its own file every few
seconds and marks it released at its end. An owner on the same machine that has died is followed at once;
one elsewhere when its file has not changed for the lease. Clocks of two machines are never compared. An
owner that was overtaken, such as one on a machine that stood still, sees the higher number and stops.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from unetpp.core.errors import OwnedError, StorageError
from unetpp.core.ownership.exclusive import create_exclusively
from unetpp.core.ownership.record import OwnerRecord
from unetpp.core.storage import Storage, open_storage

__all__ = ["HEARTBEAT_S", "LEASE_S", "Claim", "Ownership"]

logger = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
LEASE_S = 30.0
_FOLDER = "owners/"
_HEARTBEAT_DEADLINE_S = 10.0
"""A heartbeat that takes longer is given up for the next one."""


@dataclass(frozen=True)
class Claim:
    """The right to write below a URI; travels to the processes that work for its owner."""

    uri: str
    number: int

    def holds(self) -> bool:
        """Whether nobody has taken over."""
        return not open_storage(self.uri).exists(_path(self.number + 1))


class Ownership:
    """Claims at most one run or sweep for this process and keeps it until the `with` block ends.

    Args:
        on_loss: called from the heartbeat's thread when another process has taken over.
        heartbeat_s: between two heartbeats.
        lease_s: without a heartbeat after which an owner on another machine counts as dead.
        sleep, clock: what a claim waits with.
    """

    def __init__(
        self,
        *,
        on_loss: Callable[[], None] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        lease_s: float = LEASE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_loss = on_loss or _interrupt_main_thread
        self._heartbeat_s, self._lease_s = heartbeat_s, lease_s
        self._sleep, self._clock = sleep, clock
        self._claim: Claim | None = None
        self._record = OwnerRecord.of_this_process()
        self._ends, self._lost = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        if self._thread is None or self._claim is None:
            return
        with suppress(KeyboardInterrupt):  # of a loss that is noticed at this moment
            self._thread.join()
        try:
            self.require()
            self._write(open_storage(self._claim.uri), self._record.as_released())
        except StorageError as failure:
            logger.warning("%s stays claimed until its lease ends: %s", self._claim.uri, failure)

    def claim(self, storage: Storage) -> Claim:
        """Become the owner of what lies at the storage's root, before anything else is written there.

        Claiming it again changes nothing.

        Raises:
            OwnedError: a living process owns it.
        """
        if self._claim is not None:
            assert self._claim.uri == storage.uri
            return self._claim
        while True:
            number = _newest(storage)
            if number:
                self._outlive(storage, number)
            path = _path(number + 1)
            if create_exclusively(storage, path, self._record.to_bytes(), sleep=self._sleep):
                break
        self._claim = Claim(storage.uri, number + 1)
        self._thread = threading.Thread(target=self._keep, name="ownership", daemon=True)
        self._thread.start()
        return self._claim

    def require(self) -> None:
        """Check that this process is still the owner of what it claimed.

        Raises:
            OwnedError: another process has taken over.
        """
        claim = self._claim
        if claim is None or (not self._lost.is_set() and claim.holds()):
            return
        self._lost.set()
        storage = open_storage(claim.uri)
        raise OwnedError(
            f"{claim.uri} was taken over by {_read(storage, _newest(storage))}; this process has stopped"
        )

    def _outlive(self, storage: Storage, number: int) -> None:
        """Return once the owner has released it or is dead."""
        data = storage.read(_path(number))
        owner = OwnerRecord.from_bytes(data)
        if owner.released:
            return
        alive = owner.is_alive()
        if alive is None:
            logger.warning(
                "%s is owned by %s; waiting %g s for a heartbeat", storage.uri, owner, self._lease_s
            )
            changed = self._wait_for_change(storage, number, data)
            if changed is not None and changed.released:
                return
            alive, owner = changed is not None, changed or owner
        if alive:
            raise OwnedError(
                f"only one process may work on {storage.uri}; it is owned by {owner}; wait until that ends, "
                "or stop it"
            )
        logger.warning("%s goes over to this process from one that has died: %s", storage.uri, owner)

    def _wait_for_change(self, storage: Storage, number: int, data: bytes) -> OwnerRecord | None:
        ends_s = self._clock() + self._lease_s
        while self._clock() < ends_s:
            self._sleep(min(1.0, self._lease_s))
            now = storage.read(_path(number))
            if now != data:
                return OwnerRecord.from_bytes(now)
        return None

    def _keep(self) -> None:
        assert self._claim is not None
        claim, storage = self._claim, Storage(self._claim.uri, deadline_s=_HEARTBEAT_DEADLINE_S)
        while not self._ends.wait(self._heartbeat_s):
            try:
                if storage.exists(_path(claim.number + 1)):
                    self._lost.set()
                    self._on_loss()
                    return
                self._record = self._record.next_heartbeat()
                self._write(storage, self._record)
            except (StorageError, OSError) as error:
                logger.warning("a heartbeat could not be written, the next one is tried: %s", error)

    def _write(self, storage: Storage, record: OwnerRecord) -> None:
        assert self._claim is not None
        storage.write(_path(self._claim.number), record.to_bytes())


def _interrupt_main_thread() -> None:
    """What Ctrl-C does, from any thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _newest(storage: Storage) -> int:
    """The highest number; 0 where nobody ever was."""
    names = (path.removeprefix(_FOLDER).removesuffix(".json") for path in storage.list(_FOLDER))
    return max((int(name) for name in names if name.isdigit()), default=0)


def _read(storage: Storage, number: int) -> OwnerRecord:
    return OwnerRecord.from_bytes(storage.read(_path(number)))


def _path(number: int) -> str:
    return f"{_FOLDER}{number:05d}.json"
