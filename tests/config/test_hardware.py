from pathlib import Path

import pytest

from unetpp.config.hardware import detect_hardware


def test_detect_hardware_container_limits_win_over_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**20}\n")
    found = detect_hardware(tmp_path)
    assert (found.cpus, found.memory_bytes) == (1, 2**20)


def test_detect_hardware_without_limits_sees_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    found = detect_hardware(tmp_path)
    assert found.cpus >= 1
    assert found.memory_bytes > 2**20


@pytest.mark.parametrize(("visible", "gpus"), [(None, 2), ("0", 1), ("", 0), ("-1", 0)])
def test_detect_hardware_counts_the_visible_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, gpus: int
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '81920\\n40960\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = detect_hardware(tmp_path)
    assert found.gpus == gpus
    assert found.gpu_memory_bytes == {2: 40960, 1: 81920, 0: 0}[gpus] * 2**20
