"""A run's predictions while it trains: its evaluation's panels, else validation images predicted here."""

import base64
import itertools
import logging
import threading

import torch

from unetpp.core.errors import UnetppError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.engines.network import network_of_run
from unetpp.inference.overlay import panel_png
from unetpp.inference.predictor import Predictor
from unetpp.models.load import load_run
from unetpp.report.live.blocks import Block, images, message
from unetpp.report.numbers import score
from unetpp.report.run.data import RunData, load_run_data

__all__ = ["SamplePredictions"]

logger = logging.getLogger(__name__)

_SHOWN = 4
_KEPT_RUNS = 8
_TITLE = "Image, truth, prediction, errors"


class SamplePredictions:
    """Predicts again only when a run's best epoch has changed; one prediction at a time, on the CPU."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, Block]] = {}

    def block(self, run_uri: str) -> Block:
        """Panels of a run, or why there are none.

        Raises:
            UnetppError: the run cannot be read.
        """
        data = load_run_data(run_uri)
        if data.panels:
            shown = [(f"{panel.sample_id}, Dice {score(panel.dice)}", panel.png) for panel in data.panels]
            return images(f"{_TITLE} (evaluation, best and worst)", _sources(shown))
        if data.best_epoch is None:
            return message("Predictions appear after the first validated epoch.")
        with self._lock:
            stamp = (data.best_epoch["epoch"], data.best_epoch["step"])
            if self._known.get(run_uri, (None, None))[0] != stamp:
                self._known.pop(run_uri, None)
                self._known[run_uri] = (stamp, _predicted(data))
                for oldest in list(self._known)[:-_KEPT_RUNS]:
                    del self._known[oldest]
            return self._known[run_uri][1]


def _predicted(data: RunData) -> Block:
    torch.set_num_threads(1)  # the other cores are the training's
    try:
        device = torch.device("cpu")
        predictor = Predictor(network_of_run(load_run(data.uri), device), device)
        samples = iter_samples(open_storage(data.config.data.uri), data.manifest, "val")
        panels = []
        for sample in itertools.islice(samples, _SHOWN):
            mask = predictor.mask(sample.image)
            panels.append((sample.sample_id, panel_png(sample.image, sample.mask, mask, data.manifest)))
    except (UnetppError, OSError) as error:
        logger.warning("no predictions of %s: %s", data.uri, error)
        return message(f"No predictions: {error}")
    assert data.best_epoch is not None
    return images(f"{_TITLE} (validation, epoch {data.best_epoch['epoch']})", _sources(panels))


def _sources(panels: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return [(caption, "data:image/png;base64," + base64.b64encode(png).decode()) for caption, png in panels]
