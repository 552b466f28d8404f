"""The base of every config section: frozen, keyword-only, unknown keys refused."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["AUTO", "Auto", "Section"]

Auto = Literal["auto"]
AUTO: Auto = "auto"
"""The value of a field that a rule decides from the dataset and the hardware."""


class Section(BaseModel):
    """A frozen group of fields; a default lives in its field and nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
