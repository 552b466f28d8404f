"""A local cluster driven as a user drives it, from the command line."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

_DEADLINE_S = 300.0
_PAUSE_S = 0.25
_SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2)}\n'


@dataclass(frozen=True)
class Shell:
    """Runs the command line with a token and a state folder of its own."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, **more: str) -> dict[str, Any]:
        """The verb's result; it must succeed."""
        process = self.start(*arguments, **more)
        output, _ = process.communicate()
        assert process.returncode == 0, self.log.read_text()[-3000:]
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        return result

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a verb; what it says for people goes to `log`."""
        command = [sys.executable, "-m", "unetpp", *arguments, "--json"]
        environment = self.environment | more
        with self.log.open("a") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)

    @property
    def log(self) -> Path:
        return self.folder / "stderr.log"

    @property
    def token(self) -> str:
        return Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text()


@dataclass(frozen=True)
class LocalCluster:
    shell: Shell
    result: dict[str, Any]
    data: str
    out: Path

    @property
    def address(self) -> str:
        return str(self.result["address"])

    def url(self, name: str) -> str:
        return str(self.result["urls"][name])

    def submit(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb as a job that is followed; `scale.address` is the job's own matter."""
        given = [argument for argument in arguments if not argument.startswith("scale.address=")]
        return self.shell.start("submit", "--address", self.url("ray"), *given)

    def status(self) -> dict[str, Any]:
        return self.shell("cluster", "status")

    def training(self, name: str, *more: str) -> tuple[str, ...]:
        """Arguments of a run or sweep that takes seconds."""
        return (
            f"data.uri={self.data}", f"out={self.out / name}", f"scale.address={self.address}",
            "scale.cpus_per_worker=1", "data.batch_size=4", "model.depth=2", "model.width=4",
            "model.norm=group", "train.precision=fp32", *more,
        )  # fmt: skip


def write_space(folder: Path) -> str:
    """A search space's file."""
    path = folder / "space.py"
    path.write_text(_SPACE)
    return str(path)


def write_cells(folder: Path, count: int) -> tuple[str, ...]:
    """Small images and masks, and the options of `data pack` that name them."""
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(count):
        image = generator.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number:04d}.png")
        Image.fromarray((image[..., 0] > 128).astype(np.uint8)).save(folder / "masks" / f"{number:04d}.png")
    return ("--images", str(folder / "images"), "--masks", str(folder / "masks"))


def get(url: str, token: str | None = None, data: bytes | None = None) -> tuple[int, bytes]:
    """Status and body; also of an error."""
    request = urllib.request.Request(url, data=data)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_until(
    condition: Callable[[], object], what: str, alive: subprocess.Popen[str] | None = None
) -> None:
    """Ask again until it is true."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s:
        if condition():
            return
        if alive is not None and alive.poll() is not None:
            break
        time.sleep(_PAUSE_S)
    pytest.fail(f"did not come about: {what}")
