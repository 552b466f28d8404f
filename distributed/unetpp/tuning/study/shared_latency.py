"""One latency for equal networks on equal devices, whichever trial measures it first.

Two trials of one architecture differ by the timer's noise. On a front of quality against latency this noise
alone would put a bad trial beside a good one.
"""

import hashlib

import optuna

__all__ = ["SharedLatency"]

_LATENCY = "latency:"
"""Begins the study's user attributes with what was measured, in seconds."""


class SharedLatency:
    """What was measured first is kept in the study and holds for its life."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._known: dict[str, float] = {
            key: value for key, value in study.user_attrs.items() if key.startswith(_LATENCY)
        }

    def of(self, network: str, device: str, measured_s: float) -> float:
        """Seconds of a network on a device, which are `measured_s` if it is new."""
        key = _LATENCY + hashlib.sha256(f"{network} {device}".encode()).hexdigest()[:16]
        if key not in self._known:
            self._known[key] = measured_s
            self._study.set_user_attr(key, measured_s)
        return self._known[key]
