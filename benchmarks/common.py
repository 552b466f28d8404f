"""What the benchmarks share: running the command line as a user does, and a local S3 server."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_SERVER_START_S = 30


def unetpp(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run `unetpp ARGUMENTS --json`, show its progress and return its result."""
    command = [sys.executable, "-m", "unetpp", *arguments, "--json"]
    print("$ unetpp", *arguments, flush=True)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, check=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def checkout_environment(checkout: Path) -> dict[str, str]:
    """The variables with which a command runs the package of a checkout."""
    # Versions that are compared run at one priority: it is the work that counts.
    return {**os.environ, "PYTHONPATH": str(checkout / "distributed"), "RAY_worker_niceness": "0"}


def script(name: str, *arguments: str) -> dict[str, Any]:
    """Run another benchmark script in its own process and return the JSON of its last line."""
    command = [sys.executable, str(Path(__file__).parent / name), *arguments]
    print("$ python", f"benchmarks/{name}", *arguments, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; floats get four digits."""
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextlib.contextmanager
def s3_server(folder: Path | None = None, *options: str) -> Iterator[dict[str, str]]:
    """`rclone serve s3` on loopback with bucket `bench`; yields the variables that reach it.

    Serves `folder`, or an empty one that is deleted at the end.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as empty:
        folder = folder or Path(empty)
        (folder / "bench").mkdir(parents=True, exist_ok=True)
        rclone = shutil.which("rclone") or str(Path(sys.executable).parent / "rclone")
        address = f"127.0.0.1:{port}"
        command = [
            rclone,
            "serve",
            "s3",
            str(folder),
            "--addr",
            address,
            "--auth-key",
            "key,secret",
            "--dir-cache-time",
            "0s",
            *options,
        ]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            try:
                _wait_for(port)
                yield {
                    "AWS_ENDPOINT_URL": f"http://{address}",
                    "AWS_ACCESS_KEY_ID": "key",
                    "AWS_SECRET_ACCESS_KEY": "secret",
                    "AWS_DEFAULT_REGION": "us-east-1",
                }
            finally:
                server.terminate()


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + _SERVER_START_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"the S3 server did not answer on port {port} within {_SERVER_START_S} s")
