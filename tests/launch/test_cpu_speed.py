import subprocess
import sys
from pathlib import Path

import pytest

from unetpp.core import cpu_speed
from unetpp.launch.cpu_speed import ask_cpu_speed


@pytest.fixture(name="cpu")
def _cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n")
    monkeypatch.setattr(cpu_speed, "_CPU_INFO", tmp_path / "cpuinfo")


@pytest.mark.parametrize("error", [OSError(), subprocess.TimeoutExpired("python", 60)])
def test_ask_cpu_speed_that_fails_is_not_known(
    cpu: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fails)
    assert ask_cpu_speed() is None


@pytest.mark.slow
def test_measuring_gives_figures_and_is_remembered(tmp_path: Path) -> None:
    program = (
        "from unetpp.core import cpu_speed as known; known.bf16_units = lambda: 'AMX'\n"
        "from unetpp.models import cpu_speed as measured; measured.bf16_units = known.bf16_units\n"
        "speed = measured.cpu_speed()\n"
        "assert speed.fp32_gmacs > 0 and speed.bf16_gmacs > 0 and speed.units == 'AMX', speed\n"
        "assert known.known_cpu_speed() == speed\n"
    )
    environment = {"XDG_STATE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
