import math

import pytest

from sweep_results import results
from unetpp.models.cost import Cost
from unetpp.tuning.study.levels import LevelResult, costs, headline, level_results

COST = {2: Cost(20, 200), 1: Cost(10, 100)}
LATENCY_S = {(1, None): 0.1, (2, None): 0.2}


def test_level_results_joins_metrics_cost_and_latency_shallow_first() -> None:
    scored = {"2": {"dice": 0.8, "iou": 0.7}, "1": {"dice": 0.6, "iou": 0.5}}
    metrics = {"epoch": 3, "val": {"dice": 0.8, "levels": scored}}
    assert level_results(metrics, "iou", COST, LATENCY_S) == [
        LevelResult(1, 0.5, 0.1, 10, 100),
        LevelResult(2, 0.7, 0.2, 20, 200),
    ]


def test_level_results_of_shared_weights_has_each_network_with_its_dilations() -> None:
    candidates = [
        {"dilation": [1, 2, 2], "levels": {"1": {"dice": 0.6}, "2": {"dice": 0.7}}},
        {"dilation": [1, 1, 1], "levels": {"1": {"dice": 0.5}, "2": {"dice": 0.8}}},
    ]
    networks = [(1, (1, 1)), (1, (1, 2)), (2, (1, 1, 1)), (2, (1, 2, 2))]
    latency_s = {network: float(index) for index, network in enumerate(networks)}
    found = level_results({"val": {"levels": {}, "candidates": candidates}}, "dice", COST, latency_s)
    assert [(result.network, result.quality, result.latency_s) for result in found] == list(
        zip(networks, (0.5, 0.6, 0.8, 0.7), (0.0, 1.0, 2.0, 3.0), strict=True)
    )
    assert headline(found).dilation == (1, 1, 1)


def test_level_results_by_labels_of_whole_images_are_those_of_the_network_with_their_head() -> None:
    levels = {"1": {"dice": 0.6}, "2": {"dice": 0.7, "label_accuracy": 0.9}}
    found = level_results({"val": {"levels": levels}}, "label_accuracy", COST, LATENCY_S)
    assert found == [LevelResult(2, 0.9, 0.2, 20, 200)]


def test_level_results_of_an_unvalidated_epoch_are_empty() -> None:
    assert level_results({"epoch": 3, "loss": 0.1}, "dice", COST, LATENCY_S) == []


@pytest.mark.parametrize(
    ("qualities", "level"),
    [((0.5, 0.7, 0.6), 2), ((0.7, 0.7, 0.6), 1), ((math.nan, 0.1), 2), ((math.nan, math.nan), 1)],
)
def test_headline_is_the_best_level_and_of_equals_the_shallower(
    qualities: tuple[float, ...], level: int
) -> None:
    assert headline(results(*qualities)).level == level


def test_costs_are_minimised_and_nothing_makes_up_for_a_diverged_network() -> None:
    result = LevelResult(1, 0.9, 0.5, 10, 100)
    assert costs(result, ("macs", "quality", "latency")) == (100.0, -0.9, 0.5)
    diverged = LevelResult(1, math.nan, 0.5, 10, 100)
    assert costs(diverged, ("params", "quality")) == (math.inf, math.inf)
