import optuna
import pytest

from unetpp.core.errors import ConfigError
from unetpp.tuning.optuna_logs import route_logs
from unetpp.tuning.study.samplers import build_sampler

SAMPLERS = ["tpe", "gp", "cmaes", "nsga2", "qmc", "random"]
TRIALS = 16


def run(sampler: optuna.samplers.BaseSampler, directions: list[str]) -> list[dict[str, object]]:
    """A conditional space, as architectures are."""
    route_logs()
    study = optuna.create_study(directions=directions, sampler=sampler)

    def objective(trial: optuna.Trial) -> list[float]:
        x = trial.suggest_float("x", -1, 1)
        depth = trial.suggest_int("depth", 1, 2)
        dilation = trial.suggest_categorical(f"dilation.{depth}", [1, 2])
        return [x**2 + dilation, float(depth)][: len(directions)]

    study.optimize(objective, n_trials=TRIALS)
    return [trial.params for trial in study.trials]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_build_sampler_same_seed_gives_the_same_trials(name: str) -> None:
    first, again = (run(build_sampler(name, 1, 1), ["minimize"]) for _ in range(2))
    assert first == again
    assert len({str(params) for params in first}) > TRIALS // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "cmaes"])
def test_build_sampler_serves_two_objectives(name: str) -> None:
    assert len(run(build_sampler(name, 1, 2), ["minimize", "minimize"])) == TRIALS


def test_build_sampler_cmaes_refuses_two_objectives() -> None:
    with pytest.raises(ConfigError, match=r"serves one objective; there are 2; use tune\.sampler=nsga2"):
        build_sampler("cmaes", 1, 2)


def test_build_sampler_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unetpp.tuning.study.samplers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the package cmaes; pip install 'unetpp\[samplers\]'"):
        build_sampler("cmaes", 1, 1)


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_build_sampler_of_a_resumed_study_does_not_repeat_its_first_draws(name: str) -> None:
    first = run(build_sampler(name, 1, 1), ["minimize"])
    resumed = run(build_sampler(name, 1, 1, drawn=TRIALS), ["minimize"])
    assert not {params["x"] for params in first} & {params["x"] for params in resumed}
