"""Who watches a training run."""

from typing import Any, Protocol

__all__ = ["Listener"]


class Listener(Protocol):
    """Someone who watches a run."""

    def progress(self, values: dict[str, Any]) -> None: ...

    def epoch(self, metrics: dict[str, Any]) -> None: ...

    def warning(self, text: str) -> None: ...

    def stopping(self) -> None: ...
