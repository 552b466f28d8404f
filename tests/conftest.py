"""Fixtures every part uses: a local S3 server."""

import gc
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import s3fs
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import settings

from programs import PROGRAMS
from unetpp.core.cpu_speed import CpuSpeed, bf16_units, remember_cpu_speed
from unetpp.core.process_memory import spare_lasting_objects

_START_TIMEOUT_S = 30.0
_IN_MEMORY = Path("/dev/shm")
_IN_MEMORY_BYTES = 4 * 2**30

# No test asserts time. The nightly profile looks further: HYPOTHESIS_PROFILE=nightly.
settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room: a study on disk waits 20 ms for each commit."""
    with suppress(OSError):
        if shutil.disk_usage(_IN_MEMORY).free >= _IN_MEMORY_BYTES:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


def pytest_collection() -> None:
    """Look for no garbage in what is imported and collected: it stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor while tests run, and seldom in what they import."""
    gc.freeze()
    gc.enable()
    spare_lasting_objects()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a missing program, leave `nightly` out unless asked for, put long files first."""
    for item in items:
        for program, is_there in PROGRAMS.items():
            if item.get_closest_marker(program) and not is_there():
                item.add_marker(pytest.mark.skip(reason=f"{program} is missing: `make servers` installs it"))
    if "nightly" not in config.option.markexpr:
        kept = [item for item in items if item.get_closest_marker("nightly") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept
    _put_longest_first(items)


def _put_longest_first(items: list[pytest.Item]) -> None:
    limits_s = dict[Path, float]()
    for item in items:
        marker = item.get_closest_marker("timeout")
        limits_s[item.path] = max(limits_s.get(item.path, 0.0), marker.args[0] if marker else 0.0)
    items.sort(key=lambda item: -limits_s[item.path])


@dataclass(frozen=True)
class S3Server:
    """A running `rclone serve s3`; what it stores are files below `folder`.

    The server caches folders, so change its content through S3 only.
    """

    endpoint: str
    key: str
    secret: str
    folder: Path = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        """The variables with which a client in any process reaches the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_bucket(self) -> str:
        """Create an empty bucket and return its URI."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        client = s3fs.S3FileSystem(
            key=self.key, secret=self.secret, endpoint_url=self.endpoint, skip_instance_cache=True
        )
        client.mkdir(name)
        return f"s3://{name}"


@pytest.fixture(scope="session", autouse=True)
def fresh_user_folders() -> Iterator[None]:
    """No shard cached and nothing remembered by this user's other runs reaches a test, nor the other way."""
    # Not pytest's folder: Ray's sockets go below it, and their paths have at most 107 characters.
    root = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with (
        tempfile.TemporaryDirectory(prefix="t", dir=root) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("TMPDIR", folder)
        environment.setenv("XDG_STATE_HOME", f"{folder}/state")
        # `auto` plans float32 on whatever machine tests run.
        remember_cpu_speed(CpuSpeed(bf16_units(), 1.0, 1.0))
        # For clusters that tests start themselves; those that the package starts see to it.
        environment.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def revisions_read_once() -> Iterator[None]:
    """Optuna has alembic import ten unchanging schema revisions for each study that is opened."""
    read, known = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in known:
            known[location] = read(config)
        return known[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server per session; mark the test `s3` and use `s3_env` to reach it from this process."""
    folder = tmp_path_factory.mktemp("s3")
    port = _free_port()
    server = S3Server(f"http://127.0.0.1:{port}", "testkey", "testsecret", folder)
    command = [
        str(Path(sys.executable).parent / "rclone"),
        *("serve", "s3", str(folder)),
        *("--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{server.key},{server.secret}"),
        *("--config", os.devnull, "--log-level", "ERROR"),
    ]
    log = folder.parent / "s3-server.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait_for_port(port, process, log)
            yield server
        finally:
            process.terminate()


@pytest.fixture
def s3_env(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Point this process at the server for one test."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)  # a pause that ends early if the server dies
    pytest.fail(f"the S3 server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def ray_cluster(s3_server: S3Server) -> Iterator[None]:
    """One Ray for all tests, with more logical CPUs than cores; its workers reach the S3 server."""
    from unetpp.launch.connect import connected  # Ray takes seconds to import

    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("RAY_worker_niceness")
        for name, value in s3_server.env.items():
            environment.setenv(name, value)
        cluster = connected(None, workers=6)
        cluster.__enter__()
    yield
    cluster.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A verb that runs in this process sends the package's logs elsewhere for good; the next test's caplog
    hears nothing then.
    """
    logger = logging.getLogger("unetpp")
    level, handlers, propagate = logger.level, logger.handlers[:], logger.propagate
    yield
    logger.setLevel(level)
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Let child processes obey Ctrl-C: tests in the background ignore it, and so would their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
