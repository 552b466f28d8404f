"""How fast this machine's CPU convolves in float32 and in bf16: what is known of it, without torch."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from unetpp.core.local_folders import user_state

__all__ = ["CpuSpeed", "bf16_units", "known_cpu_speed", "remember_cpu_speed"]

_CPU_INFO = Path("/proc/cpuinfo")
_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "bf16": "BF16"}
"""By the flag that Linux shows, fastest first; the last is that of ARM."""
_WORTH = 1.3
"""At least so much faster must a convolution be for a whole step to be: the rest of it gains less."""


@dataclass(frozen=True)
class CpuSpeed:
    """A 3x3 convolution with its gradient in one thread, in 10^9 multiply-accumulates a second."""

    units: str
    """AMX, AVX512-BF16 or BF16; empty without units for bf16, and then nothing was measured."""
    fp32_gmacs: float = 0.0
    bf16_gmacs: float = 0.0

    @property
    def gain(self) -> float:
        """How many times faster bf16 is; 0 without units."""
        return self.bf16_gmacs / self.fp32_gmacs if self.fp32_gmacs else 0.0

    @property
    def prefers_bf16(self) -> bool:
        return self.gain >= _WORTH

    def __str__(self) -> str:
        if not self.units:
            return "no units for bf16 in the CPU"
        figures = f"{self.bf16_gmacs:.0f} against {self.fp32_gmacs:.0f} GMAC/s a thread"
        return f"{self.units}: bf16 convolves {self.gain:.1f} times as fast as fp32, {figures}"


def bf16_units(cpu_info: Path | None = None) -> str:
    """Name of the CPU's fastest units that multiply bf16, empty where it has none or does not tell."""
    text = _read(cpu_info or _CPU_INFO)
    listed = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = set(listed.group(1).split()) if listed else set()
    return next((name for flag, name in _UNITS.items() if flag in flags), "")


def known_cpu_speed() -> CpuSpeed | None:
    """What is known without measuring: that there are no such units, or what was measured before."""
    if not bf16_units():
        return CpuSpeed("")
    try:
        return CpuSpeed(**json.loads(_record().read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remember_cpu_speed(speed: CpuSpeed) -> None:
    """Keep a measurement for this user's later runs on such a machine, where a folder can be written."""
    record = _record()
    partial = record.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(asdict(speed)))
        partial.replace(record)


def _record() -> Path:
    """By all that the speed depends on: a home folder may be shared by machines."""
    model = re.search(r"^model name\s*:(.*)$", _read(_CPU_INFO), re.MULTILINE)
    limits = [os.environ.get(f"{name}_MAX_CPU_ISA", "") for name in ("ONEDNN", "DNNL")]
    facts = [model.group(1) if model else "", bf16_units(), importlib.metadata.version("torch"), *limits]
    return user_state("cpu-speed") / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
