"""The base of every config section: frozen, keyword-only, unknown keys refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["AUTO", "NONE_IS_AUTO", "Auto", "Count", "Fraction", "Positive", "Section"]

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

Auto = Literal["auto"]
AUTO: Auto = "auto"
"""The value of a field that a rule decides from the dataset and the hardware."""


def _none_for_auto(value: Any) -> Any:
    return None if value == AUTO else value


NONE_IS_AUTO = BeforeValidator(_none_for_auto)
"""Of a field that a rule decides for volumes only: `auto` may be written, None is what it means."""


class Section(BaseModel):
    """A frozen group of fields; a default lives in its field and nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
