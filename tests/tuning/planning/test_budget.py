import pytest

from unetpp.config import TuneConfig
from unetpp.tuning.planning.budget import Budget, budget_of
from unetpp.tuning.planning.duration_estimate import estimate, expected_epochs, gpu_cost


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(), None),
        (Budget(hours=1), "1.00 h reached tune.hours=1"),
        (Budget(hours=1.1), None),
        (Budget(gpu_hours=2), "2.00 GPU-hours reached tune.gpu_hours=2"),
        (Budget(gpu_hours=2.1), None),
        (Budget(target=0.9), "quality 0.9000 reached tune.target=0.9"),
        (Budget(target=0.91), None),
        (Budget(patience=5), "5 trials without a better one reached tune.patience=5"),
        (Budget(patience=6), None),
    ],
)
def test_budget_is_exhausted_at_its_limit(budget: Budget, reason: str | None) -> None:
    assert budget.exhausted(3600, 7200, 0.9, since_best=5) == reason


def test_budget_target_waits_for_a_first_result() -> None:
    assert Budget(target=0.1).exhausted(0, 0, None) is None


def test_budget_of_takes_the_configured_limits() -> None:
    tune = TuneConfig(hours=1, gpu_hours=2, target=0.5, patience=3)
    assert budget_of(tune) == Budget(1, 2, 0.5, 3)


@pytest.mark.parametrize(
    ("scheduler", "epochs", "mean"),
    [
        ("none", 9, 9),
        ("median", 9, 5),
        ("asha", 9, 1 + 2 / 3 + 6 / 9),
        ("asha", 1, 1),
        ("median", 1, 1),
        ("pbt", 9, 9),
    ],
)
def test_expected_epochs_follow_the_scheduler(scheduler, epochs: int, mean: float) -> None:
    assert expected_epochs(epochs, TuneConfig(scheduler=scheduler)) == pytest.approx(mean)


def test_expected_epochs_match_halving_where_each_rung_keeps_its_share() -> None:
    """Of 27 trials with rungs at 1 and 3, nine pass the first and three of them the second."""
    spent = (18 * 1 + 6 * 3 + 3 * 9) / 27
    assert expected_epochs(9, TuneConfig()) == pytest.approx(spent)


def test_estimate_states_the_time_and_its_parts() -> None:
    said = estimate(10.0, 20, 2, TuneConfig(trials=15, scheduler="none"))
    assert said == (
        "about 27 min: 15 trials, 2 at a time, 20.0 of 20 epochs each on average (tune.scheduler=none), "
        "10.0 s per epoch"
    )


def test_estimate_states_the_price_of_the_gpus_where_one_is_given() -> None:
    tune = TuneConfig(trials=15, scheduler="none", price_per_gpu_hour=2.5)
    said = estimate(24.0, 20, 2, tune, gpus=0.5)
    assert said.endswith("24.0 s per epoch; 1.00 GPU-hours, 2.50 at tune.price_per_gpu_hour=2.5")
    assert gpu_cost(7200, tune) == {"gpu_hours": 2.0, "price": 5.0}
