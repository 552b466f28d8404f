"""A private PostgreSQL server for tests, which can be stopped and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

__all__ = ["PostgresServer"]

_START_TIMEOUT_S = 60.0
_USER = "tester"


class PostgresServer:
    """Listens on loopback and asks for a password; its files lie in a temporary folder."""

    def __init__(self, bin_folder: Path) -> None:
        self.password = f"pw-{uuid.uuid4().hex}"
        self._bin = bin_folder
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="unetpp-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        secret = self._folder / "password"
        secret.write_text(self.password)
        if self._account:
            for path in (self._folder, secret):
                shutil.chown(path, self._account)
        self._call(
            "initdb", "-D", self._data, "-U", _USER, "-A", "scram-sha-256", "--pwfile", str(secret), "-N"
        )

    @property
    def env(self) -> dict[str, str]:
        """The variables with which a client's driver logs in."""
        return {"PGPASSWORD": self.password}

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def new_database(self) -> str:
        """Create an empty database and return its URL, which holds no password."""
        name = f"studies_{uuid.uuid4().hex[:12]}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        options = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": self._folder}
        command = [str(self._bin / "postgres"), "-D", self._data, "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self._folder, **self._identity()
            )
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.1)  # a pause that ends early if the server dies
            else:
                return
        pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Break off all connections and stop."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_TIMEOUT_S)
            self._process = None

    def remove(self) -> None:
        """Stop, and delete all databases."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=self._folder, **self._identity()
        )
        if done.returncode:
            pytest.fail(f"{program} failed: {done.stderr}")

    def _identity(self) -> dict[str, object]:
        if self._account is None:
            return {}
        return {"user": self._account, "group": pwd.getpwnam(self._account).pw_gid, "extra_groups": []}


def _account() -> str | None:
    """PostgreSQL refuses to run as root; None keeps who we are."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"
