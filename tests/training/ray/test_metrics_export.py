"""What a run exports to Prometheus, under which tags; and that it never disturbs the run."""

import pytest

from fakes import start_run, tiny_config
from recorded_metrics import RecordingExporter
from unetpp.training.ray import metrics_export
from unetpp.training.ray.metrics_export import METRICS, Exporter, RunMetrics, folder_name

URI = "s3://bucket/experiments/run 1"
WORKER = {"run": "run_1", "trial": "", "rank": "0"}


def progress(epoch: int, step: int, images: int, steps: int = 10) -> dict[str, float]:
    return {
        "epoch": epoch, "step": step, "steps": steps, "images": images, "loss": 0.5, "images_per_s": 8.0,
        "data_wait": 0.25,
    }  # fmt: skip


def epoch(number: int) -> dict[str, object]:
    levels = {"1": {"dice": 0.7}, "2": {"dice": 0.8}}
    return {"epoch": number, "nonfinite_steps": 1, "cache": {"hit_rate": 0.9}, "val": {"levels": levels}}


def test_step_exports_the_workers_numbers() -> None:
    exporter = RecordingExporter()
    RunMetrics(URI, 0, exporter).step(progress(1, 1, 4))  # type: ignore[arg-type]
    assert exporter.get("unetpp_images_per_second", **WORKER) == 8.0
    assert exporter.get("unetpp_data_wait_ratio", **WORKER) == 0.25
    assert exporter.get("unetpp_loss", **WORKER) == 0.5


def test_steps_count_every_image_once_over_epochs() -> None:
    exporter = RecordingExporter()
    metrics = RunMetrics(URI, 0, exporter)  # type: ignore[arg-type]
    for number in (1, 2):
        for step in range(1, 11):
            metrics.step(progress(number, step, 4 * step))
    assert exporter.get("unetpp_images_total", **WORKER) == 80


def test_epoch_exports_each_level_and_the_cache() -> None:
    exporter = RecordingExporter()
    RunMetrics(URI, 0, exporter).epoch(epoch(3))  # type: ignore[arg-type]
    run = {"run": "run_1", "trial": ""}
    assert exporter.get("unetpp_dice", **run, level="2") == 0.8
    assert exporter.get("unetpp_cache_hit_ratio", **run) == 0.9
    assert exporter.get("unetpp_epoch", **run) == 3


def test_epoch_of_other_ranks_exports_nothing() -> None:
    exporter = RecordingExporter()
    RunMetrics(URI, 1, exporter).epoch(epoch(3))  # type: ignore[arg-type]
    assert exporter.values == {}


def test_trial_is_tagged_by_its_sweep_and_number() -> None:
    exporter = RecordingExporter()
    RunMetrics("/out/sweep/trials/0012", 0, exporter).epoch(epoch(1))  # type: ignore[arg-type]
    assert exporter.get("unetpp_epoch", run="sweep", trial="12") == 1


def test_folder_name_holds_no_uri_and_is_short() -> None:
    assert folder_name("s3://key:secret@bucket/a b/") == "a_b"
    assert len(folder_name("/x/" + "y" * 500)) == 64


def test_series_of_a_run_stay_within_the_stated_bound(tmp_path, dataset) -> None:
    uri, manifest = dataset
    config = start_run(tiny_config(uri).model_copy(update={"out": str(tmp_path / "r")}), manifest).config
    exporter, workers = RecordingExporter(), 4
    for rank in range(workers):
        metrics = RunMetrics(config.run_uri, rank, exporter)  # type: ignore[arg-type]
        for number in (1, 2):
            metrics.step(progress(number, 10, 40))
            metrics.epoch(epoch(number))
    assert len(exporter.values) <= 4 * workers + 10


def test_exporter_without_ray_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr(metrics_export.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(metrics_export.ray_metrics, "Gauge", lambda *args: made.append(args))
    Exporter().set({"unetpp_loss": 1.0}, WORKER)
    assert made == []


def test_exporter_that_fails_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no metrics agent")

    monkeypatch.setattr(metrics_export.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(metrics_export.ray_metrics, "Gauge", broken)
    exporter = Exporter()
    for _ in range(2):
        exporter.set({"unetpp_loss": 1.0}, WORKER)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no metrics agent" in caplog.text


def test_metric_tags_are_of_the_bounded_kinds() -> None:
    assert {tag for metric in METRICS.values() for tag in metric.tags} == {
        "run", "trial", "rank", "level", "state",
    }  # fmt: skip
