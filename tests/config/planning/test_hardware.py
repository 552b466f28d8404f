from pathlib import Path

import pytest

from unetpp.config.planning.hardware import this_node


def test_this_node_container_limits_win_over_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**20}\n")
    found = this_node(tmp_path)
    assert (found.cpus, found.memory_bytes) == (1, 2**20)


def test_this_node_reads_control_groups_of_version_1(tmp_path: Path) -> None:
    for name, value in (("cpu/cpu.cfs_quota_us", 100_000), ("cpu/cpu.cfs_period_us", 100_000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**20}\n")
    found = this_node(tmp_path)
    assert (found.cpus, found.memory_bytes) == (1, 2**20)
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert this_node(tmp_path).cpus >= 1


def test_this_node_without_limits_sees_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    found = this_node(tmp_path)
    assert found.cpus >= 1
    assert found.memory_bytes > 2**20


@pytest.mark.parametrize(
    ("visible", "gib"),
    [(None, [80, 40]), ("0", [80]), ("1", [40]), ("1,0", [40, 80]), ("GPU-3f", [40]), ("", []), ("-1", [])],
)
def test_this_node_counts_the_gpus_it_may_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, gib: list[int]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '81920\\n40960\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = this_node(tmp_path)
    assert found.gpus == len(gib)
    assert found.gpu_memory_bytes == (min(gib) * 2**30 if gib else None)
