"""Whole runs on CUDA: resumed, carried to a CPU, and predicting with less memory than a window needs."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import LocalSession, final_weights, start_run, tiny_config, train, write_dataset
from unetpp.cli.doctor_checks import check_gpu
from unetpp.config.planning.hardware import this_node
from unetpp.core.rundir import RunDir
from unetpp.inference.predictor import Predictor
from unetpp.models.load import load_run
from unetpp.training.run.job import TrainJob
from untrained_run import write_untrained_run

pytestmark = pytest.mark.gpu


def job_for(folder: Path, epochs: int = 3) -> TrainJob:
    manifest = write_dataset(folder / "data", {"train": 18, "val": 5})
    config = tiny_config(str(folder / "data"), model={"dropout": 0.1}, train={"epochs": epochs})
    return start_run(config.model_copy(update={"out": str(folder / "run")}), manifest)


def test_run_stopped_on_cuda_and_resumed_there_is_bit_equal(device: torch.device, tmp_path: Path) -> None:
    whole, cut = job_for(tmp_path / "whole"), job_for(tmp_path / "cut")
    train(whole, device=device)
    assert not train(cut, LocalSession(stop_after=7), device=device).finished
    assert train(cut, device=device).finished
    assert final_weights(cut) == final_weights(whole)


def test_checkpoint_of_cuda_loads_and_goes_on_on_a_cpu(device: torch.device, tmp_path: Path) -> None:
    job = job_for(tmp_path, epochs=2)
    train(job, LocalSession(stop_after=7), device=device)
    assert train(job).finished
    assert [epoch["epoch"] for epoch in RunDir(job.run_uri).read_metrics()] == [1, 2]
    assert {parameter.device.type for parameter in load_run(job.run_uri).model.parameters()} == {"cpu"}


def test_network_gives_the_logits_of_the_cpu(device: torch.device, tmp_path: Path) -> None:
    run = load_run(write_untrained_run(tmp_path))
    images = torch.rand(2, 3, 41, 50, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        expected = run.model(run.normalise(images)).levels
        found = run.model.to(device)(run.normalise.to(device)(images.to(device))).levels
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-4)


def test_prediction_without_memory_for_its_window_takes_smaller_ones(
    device: torch.device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = Predictor.from_run(write_untrained_run(tmp_path))
    image = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    assert predictor.device.type == "cuda"
    whole = predictor.predict(image).probabilities
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    predictor.predict(image)
    needed, total = (
        torch.cuda.max_memory_reserved(device),
        torch.cuda.get_device_properties(device).total_memory,
    )
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(0.6 * needed / total, device)
        with caplog.at_level(logging.WARNING):
            parts = predictor.predict(image).probabilities
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert "memory does not suffice for windows of" in caplog.text
    assert np.abs(parts - whole).mean() < 0.05


def test_doctor_sees_the_gpus_that_torch_uses(device: torch.device) -> None:
    node = this_node()
    assert node.gpus == torch.cuda.device_count()
    check = check_gpu(node)
    assert (check.status, check.detail) == ("ok", f"{node.gpus:g} usable")
