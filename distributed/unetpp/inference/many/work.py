"""What a process needs to predict a part of a call's images."""

from dataclasses import dataclass

from unetpp.core.storage import open_storage
from unetpp.inference.many.options import PredictOptions
from unetpp.inference.many.worker import Worker
from unetpp.inference.predictor import Predictor

__all__ = ["PredictWork"]


@dataclass(frozen=True)
class PredictWork:
    """A call without its images; it travels to other processes."""

    models: tuple[str, ...]
    """Runs, and files that `export` wrote; of several the mean."""
    out: str
    """URI of the folder for the masks."""
    options: PredictOptions
    """With the writer chosen."""

    def open(self) -> Worker:
        """With the model loaded."""
        predictor = Predictor.of(self.models, **self.options.of_model)
        return Worker(predictor, open_storage(self.out), self.options)
