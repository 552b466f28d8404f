from pathlib import Path

import pytest

from unetpp.core import cpu_speed
from unetpp.core.cpu_speed import CpuSpeed, bf16_units, known_cpu_speed, remember_cpu_speed

_XEON = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu avx512_bf16 amx_bf16 avx\n"
_EPYC = "processor\t: 0\nmodel name\t: EPYC\nflags\t\t: fpu avx512_bf16 avx\n"
_OLD = "processor\t: 0\nmodel name\t: Old\nflags\t\t: fpu avx avx2\n"


@pytest.fixture(name="cpu")
def _cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(cpu_speed, "_CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(_EPYC)
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(
    ("text", "units"),
    [
        (_XEON, "AMX"),
        (_EPYC, "AVX512-BF16"),
        ("Features\t: fp asimd bf16 i8mm\n", "BF16"),
        (_OLD, ""),
        ("", ""),
    ],
)
def test_bf16_units_are_the_fastest_that_linux_lists(tmp_path: Path, text: str, units: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert bf16_units(tmp_path / "cpuinfo") == units
    assert bf16_units(tmp_path / "missing") == ""


def test_known_cpu_speed_without_units_needs_no_measurement(cpu: Path) -> None:
    cpu.write_text(_OLD)
    assert known_cpu_speed() == CpuSpeed("")


def test_known_cpu_speed_is_the_measurement_of_such_a_machine_only(
    cpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known_cpu_speed() is None
    speed = CpuSpeed("AVX512-BF16", 120.0, 240.0)
    remember_cpu_speed(speed)
    assert known_cpu_speed() == speed
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert known_cpu_speed() is None
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    cpu.write_text(_XEON)
    assert known_cpu_speed() is None


def test_remember_cpu_speed_where_nothing_can_be_written_goes_on(
    cpu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember_cpu_speed(CpuSpeed("AVX512-BF16", 1.0, 2.0))
    assert known_cpu_speed() is None


def test_known_cpu_speed_damaged_record_is_measured_again(cpu: Path, tmp_path: Path) -> None:
    remember_cpu_speed(CpuSpeed("AVX512-BF16", 1.0, 2.0))
    (record,) = (tmp_path / "state").rglob("*.json")
    record.write_text("{")
    assert known_cpu_speed() is None
