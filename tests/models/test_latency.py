"""Latencies: one measurement for equal networks, and no trace in the training that asks."""

import pytest
import torch

from unetpp.models import latency
from unetpp.models.latency import measure_levels_s

CPU = torch.device("cpu")


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Depth of every network that a pass is made through."""
    monkeypatch.setattr(latency, "_KNOWN_S", {})
    made = []

    def count(model, _image):
        made.append(model.depth)
        return 1.0 + len(made)

    monkeypatch.setattr(latency, "_pass_s", count)
    return made


def test_levels_take_turns_and_the_least_pass_counts(tiny, passes):
    found = measure_levels_s(tiny(), channels=2, size_px=(16, 16), device=CPU)
    assert passes[:6] == [1, 2, 3, 1, 2, 3]
    assert found == {1: 8.0, 2: 9.0, 3: 10.0}, "the two rounds that warm up do not count"


def test_equal_networks_are_measured_once(tiny, passes):
    first = measure_levels_s(tiny(), channels=2, size_px=(16, 16), device=CPU)
    count = len(passes)
    assert measure_levels_s(tiny(), channels=2, size_px=(16, 16), device=CPU) == first
    assert len(passes) == count
    measure_levels_s(tiny(dilation=2), channels=2, size_px=(16, 16), device=CPU)
    measure_levels_s(tiny(), channels=2, size_px=(32, 16), device=CPU)
    assert len(passes) == 3 * count


def test_other_dilations_are_measured_and_leave_the_network_as_it_is(tiny, passes):
    own = measure_levels_s(tiny(dilation=2), channels=2, size_px=(16, 16), device=CPU)
    count, model = len(passes), tiny()
    found = measure_levels_s(model, channels=2, size_px=(16, 16), device=CPU, dilation=(2,) * 4)
    assert (found, len(passes)) == (own, count), "the network of those dilations was measured before"
    assert model.dilation == (1,) * 4


def test_measuring_draws_nothing_from_the_training(tiny):
    model = tiny()
    state = torch.get_rng_state()
    measure_levels_s(model, channels=2, size_px=(16, 16), device=CPU, levels=[2])
    assert torch.equal(torch.get_rng_state(), state)
