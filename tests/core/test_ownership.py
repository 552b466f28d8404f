"""One process at a time works on a run or sweep: refused, followed and overtaken, on folders and on S3."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from unetpp.core.errors import OwnedError
from unetpp.core.ownership import Ownership
from unetpp.core.ownership import record as owner_record
from unetpp.core.ownership.exclusive import create_exclusively
from unetpp.core.storage import Storage, open_storage

_WRITERS = 4


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(tmp_path / "run")
    return open_storage(request.getfixturevalue("s3_env").new_bucket() + "/run")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process believe that it runs on another machine."""
    return lambda name: monkeypatch.setattr(owner_record, "_kernel", lambda: name)


class Time:
    """A clock that moves when somebody sleeps, and does something meanwhile."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now_s = 0.0
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self._meanwhile()

    def clock(self) -> float:
        return self.now_s


def owner_of(time: Time | None = None, **arguments: object) -> Ownership:
    time = time or Time()
    return Ownership(heartbeat_s=3600, sleep=time.sleep, clock=time.clock, **arguments)  # type: ignore[arg-type]


def records(storage: Storage) -> list[dict]:
    return [json.loads(storage.read(path)) for path in storage.list("owners/")]


def test_ownership_released_is_followed_by_the_next(storage: Storage) -> None:
    for _ in range(2):
        with owner_of() as owner:
            assert owner.claim(storage).holds()
    assert [record["released"] for record in records(storage)] == [True, True]


def test_ownership_of_a_living_process_is_refused_and_says_whose_it_is(storage: Storage) -> None:
    with owner_of() as first, owner_of() as second:
        claim = first.claim(storage)
        with pytest.raises(OwnedError, match=rf"owned by process {os.getpid()} of .* on .* since 20\d\d-"):
            second.claim(storage)
        assert claim.holds()
    assert len(records(storage)) == 1


_HOLD = """
import sys
from unetpp.core.ownership import Ownership
from unetpp.core.storage import open_storage
with Ownership() as owner:
    owner.claim(open_storage(sys.argv[1]))
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_ownership_of_a_killed_process_is_taken_over_at_once_also_before_it_was_waited_for(
    storage: Storage,
) -> None:
    command = [sys.executable, "-c", _HOLD, storage.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        time = Time()
        with owner_of(time) as owner:
            owner.claim(storage)
        assert time.now_s < 5, "nothing is waited for"
    assert [record["released"] for record in records(storage)] == [False, True]


def test_ownership_elsewhere_is_refused_once_its_heartbeat_moves(
    storage: Storage, elsewhere: Callable[[str], None]
) -> None:
    with Ownership(heartbeat_s=0.01) as first:
        first.claim(storage)
        elsewhere("another machine")
        with pytest.raises(OwnedError, match="only one process"):
            Ownership(lease_s=60).claim(storage)


def test_ownership_elsewhere_without_a_heartbeat_is_taken_over_after_the_lease(
    storage: Storage, elsewhere: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    first, time = owner_of(), Time()
    claim = first.claim(storage)
    elsewhere("another machine")
    with owner_of(time) as second:
        assert second.claim(storage).holds()
        assert time.now_s >= 30
        assert not claim.holds()
        with pytest.raises(OwnedError, match="was taken over by process"):
            first.__exit__(None, None, None)
    assert [record["released"] for record in records(storage)] == [False, True]
    assert "waiting 30 s for a heartbeat" in caplog.text
    assert "one that has died" in caplog.text


def test_ownership_elsewhere_released_meanwhile_is_followed(
    storage: Storage, elsewhere: Callable[[str], None]
) -> None:
    first = owner_of()
    first.claim(storage)
    elsewhere("another machine")
    time = Time(lambda: first.__exit__(None, None, None))
    with owner_of(time) as second:
        second.claim(storage)
    assert time.now_s < 30


def test_ownership_overtaken_stops_its_process_and_leaves_the_new_owner_alone(storage: Storage) -> None:
    lost = threading.Event()
    first = Ownership(heartbeat_s=0.01, on_loss=lost.set)
    first.claim(storage)
    # As if this machine had stood still for longer than a lease.
    second = owner_record.OwnerRecord.of_this_process()
    storage.write("owners/00002.json", second.to_bytes())
    assert lost.wait(30)
    with pytest.raises(OwnedError, match="was taken over"):
        first.__exit__(None, None, None)
    assert storage.read("owners/00002.json") == second.to_bytes()


def stand_still_until_overtaken(storage: Storage) -> None:
    with Ownership(heartbeat_s=0.01) as owner:
        owner.claim(storage)
        storage.write("owners/00002.json", owner_record.OwnerRecord.of_this_process().to_bytes())
        threading.Event().wait(30)


@pytest.mark.usefixtures("keyboard")
def test_ownership_overtaken_interrupts_the_main_thread_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(OwnedError, match="was taken over"):
        stand_still_until_overtaken(open_storage(tmp_path))


def fail_as_owner(storage: Storage) -> None:
    with owner_of() as owner:
        owner.claim(storage)
        raise RuntimeError


def test_ownership_no_thread_is_left_on_any_way_out(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_as_owner(open_storage(tmp_path))
    assert [thread.name for thread in threading.enumerate() if thread.name == "ownership"] == []
    assert [record["released"] for record in records(open_storage(tmp_path))] == [True]


def test_create_exclusively_among_several_writers_lets_one_through(storage: Storage) -> None:
    barrier, results = threading.Barrier(_WRITERS), []

    def write(number: int) -> None:
        opened = open_storage(storage.uri)
        opened.supports_conditional_write()
        barrier.wait()
        for round_number in range(3):
            created = create_exclusively(opened, f"x/{round_number}", f"{number}".encode())
            results.append((round_number, number, created))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for round_number in range(3):
        winners = [number for at, number, created in results if created and at == round_number]
        assert len(winners) == 1
        assert storage.read(f"x/{round_number}") == str(winners[0]).encode()
    assert storage.list("x/") == ["x/0", "x/1", "x/2"]


@pytest.mark.s3
def test_create_exclusively_passes_over_the_flag_of_a_killed_writer(s3_env) -> None:
    storage, time = open_storage(f"{s3_env.new_bucket()}/run"), Time()
    storage.write("x.flag-left-behind", b"")
    assert create_exclusively(storage, "x", b"1", sleep=time.sleep)
    assert storage.list() == ["x"]
