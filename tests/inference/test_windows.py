"""A prediction that does not fit into memory goes on with smaller windows."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unetpp.core.errors import InputError
from unetpp.inference.predictor import Predictor
from unetpp.inference.windows import is_out_of_memory

CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: 12"


class SmallMemory(nn.Module):
    """A network on a device that holds windows up to a side."""

    def __init__(self, network: nn.Module, side_px: int, error: Exception) -> None:
        super().__init__()
        self.network, self.side_px, self.error = network, side_px, error
        self.sides: list[int] = []

    def forward(self, images: Tensor) -> object:
        self.sides.append(max(images.shape[2:]))
        if self.sides[-1] > self.side_px:
            raise self.error
        return self.network(images)


@pytest.fixture
def large() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (150, 600, 3), dtype=np.uint8)


def small_memory(run: str, side_px: int, error: Exception) -> Predictor:
    predictor = Predictor.from_run(run)
    predictor.model = SmallMemory(predictor.model, side_px, error)
    return predictor


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CPU_MESSAGE), MemoryError()]
)
def test_predict_halves_the_window_until_it_fits_and_says_so_once(make_run, large, caplog, error):
    predictor = small_memory(make_run(), 130, error)
    mask = predictor.mask(large)
    assert mask.shape == (150, 600)
    tried, *_ = predictor.model.sides
    assert 130 < tried <= 512
    assert predictor._windows.size_px == (64, 128)
    predictor.model.sides.clear()
    predictor.mask(large)
    assert max(predictor.model.sides) <= 128, "the next image starts with what fits"
    assert len(caplog.records) == 1


def test_predict_in_smaller_windows_is_nearly_the_same_prediction(make_run, large):
    run = make_run()
    whole = Predictor.from_run(run).predict(large).probabilities
    parts = small_memory(run, 256, MemoryError()).predict(large).probabilities
    assert np.abs(whole - parts).mean() < 0.05


def test_predict_what_does_not_fit_in_the_smallest_window_is_an_input_error(make_run, large):
    with pytest.raises(InputError, match="windows of 64 x 64 px"):
        small_memory(make_run(), 10, MemoryError()).mask(large)


def test_predict_other_errors_are_not_taken_for_missing_memory(make_run, large):
    with pytest.raises(RuntimeError, match="shape"):
        small_memory(make_run(), 10, RuntimeError("shape mismatch")).mask(large)


def test_out_of_memory_of_the_cpu_allocator_itself_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)
