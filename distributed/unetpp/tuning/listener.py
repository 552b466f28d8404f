"""Who watches a sweep."""

from typing import Any, Protocol

__all__ = ["SweepListener"]


class SweepListener(Protocol):
    """Someone who watches a sweep; trials are named by their number in the study."""

    def started(self, number: int, config: dict[str, Any]) -> None: ...

    def epoch(self, number: int, metrics: dict[str, Any]) -> None: ...

    def ended(self, number: int) -> None: ...

    def failed(self, number: int) -> None: ...
