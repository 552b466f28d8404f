"""An exporter that remembers."""

from collections.abc import Mapping

from unetpp.training.ray.metrics_export import METRICS

Series = tuple[str, tuple[tuple[str, str], ...]]


class RecordingExporter:
    """Refuses what Ray would refuse: unknown names and tags that were not declared."""

    def __init__(self) -> None:
        self.values: dict[Series, float] = {}

    def set(self, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        for name, value in values.items():
            assert set(METRICS[name].tags) == set(tags)
            series = (name, tuple(sorted(tags.items())))
            before = self.values.get(series, 0.0) if METRICS[name].is_counter else 0.0
            self.values[series] = before + value

    def get(self, name: str, **tags: str) -> float:
        return self.values[(name, tuple(sorted(tags.items())))]
