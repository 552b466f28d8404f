"""Keeps Tune from pickling or copying objects of the driver."""

from typing import Any, Self

__all__ = ["Unsaved"]


class Unsaved:
    """Tune pickles its tuner to restore it later; these objects live in the driver only.

    A resumed sweep makes them anew from the study, so what is pickled in their place is an empty object.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
