"""How fast a machine's CPU is in bf16, asked by a process that does without torch."""

import json
import logging
import subprocess
import sys

from unetpp.core.cpu_speed import CpuSpeed, known_cpu_speed

__all__ = ["ask_cpu_speed"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60.0
"""Torch is imported, from a disk that may be slow."""


def ask_cpu_speed() -> CpuSpeed | None:
    """Of the machine that this is called on; measured in a process of its own unless it is known.

    None where that fails.
    """
    known = known_cpu_speed()
    if known is not None:
        return known
    command = [sys.executable, "-m", "unetpp.models.cpu_speed"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        return CpuSpeed(**json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        logger.info("the speed of this CPU in bf16 was not measured: %s", error)
        return None
