import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweep_results import finish, record_epoch, results
from unetpp.config import load_config, replace
from unetpp.core.errors import InputError
from unetpp.tuning.first_trials import enqueue_default, warm_start
from unetpp.tuning.results.leaderboard import leaderboard, trial_counts
from unetpp.tuning.space.space import load_space

SPACES = Path(__file__).parents[2] / "search_spaces"


def test_enqueue_default_makes_the_base_configuration_trial_zero(study, space, base) -> None:
    assert enqueue_default(study, space, base)
    trial = study.ask()
    assert trial.number == 0
    assert space(trial) == {"model.depth": 3, "model.dilation": [1, 1, 1, 1], "optim.lr": 1e-3}
    assert study.trials[0].user_attrs == {"is_default": True}


def test_enqueue_default_of_a_study_with_trials_adds_nothing(study, space, base) -> None:
    enqueue_default(study, space, base)
    assert not enqueue_default(study, space, base)
    assert len(study.trials) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        "optim.lr=0.5",
        "model.depth=5",
        "model.depth=auto",
        "model.depth=3 model.dilation=[1,2,1,1]",
        "model.depth=3 model.dilation=4",
    ],
)
def test_enqueue_default_outside_the_space_is_skipped(study, space, overrides: str) -> None:
    assert not enqueue_default(study, space, load_config(None, overrides.split()))
    assert study.trials == []


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("architecture", "model.depth=4"),
        ("architecture", "model.depth=2 model.dilation=[1,2,4] model.norm=group"),
        ("augmentation", ""),
        ("full", "model.depth=3"),
        ("loss", "loss.tversky=0.25"),
        ("optimiser", "optim.name=sgd optim.lr=0.01"),
        ("smoke", "model.width=8"),
    ],
)
def test_enqueue_default_recognises_configurations_of_shipped_spaces(
    open_, name: str, overrides: str
) -> None:
    shipped, config = load_space(SPACES / f"{name}.py"), load_config(None, overrides.split())
    study = open_(space=shipped, config=replace(config, {"tune.sampler": "random"}))
    assert enqueue_default(study, shipped, config)
    before = study.trials[0].system_attrs["fixed_params"]
    trial = study.ask()
    shipped(trial)
    assert trial.params == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("model.depth=3 optim.lr=0.5", "optim.lr=0.5 is not in 0.0001 to 0.01"),
        ("optim.lr=0.5 model.depth=5", "model.depth=5 is not in 2 to 4; optim.lr=0.5 is not in"),
        ("model.depth=3 model.dilation=4", r"space.py:4: '4' not in (1, 2)"),
        (
            "model.depth=3 model.dilation=[1,2,1,1]",
            "model.dilation=[1, 2, 1, 1], which the space makes [1, 1",
        ),
    ],
)
def test_enqueue_default_outside_the_space_says_which_values(
    study, space, caplog, overrides: str, said: str
) -> None:
    with caplog.at_level("INFO", logger="unetpp"):
        enqueue_default(study, space, load_config(None, overrides.split()))
    assert f"no trial is the base configuration, which lies outside the space: {said}" in caplog.text


def test_enqueue_default_with_foreign_parameter_names_is_skipped(open_, write_space, base) -> None:
    space = write_space("def space(trial):\n    return {'optim.lr': trial.suggest_float('rate', 0.1, 1)}\n")
    assert not enqueue_default(open_(space=space), space, base)


def earlier(open_, space, url: str, **config) -> optuna.Study:
    """A study with a complete, a pruned, a failed, an infeasible and a running trial."""
    study = open_(storage_url=url, name="earlier", space=space, **config)
    for number, outcome in enumerate(("COMPLETE", "PRUNED", "FAIL", "INFEASIBLE", None)):
        space(study.ask())
        record_epoch(study, number, 1, results(*[0.1 * (number + 1)]))
        if outcome:
            finish(study, number, outcome)
    return study


@pytest.fixture
def earlier_url(tmp_path: Path, empty_storage: Path) -> str:
    shutil.copy(empty_storage, tmp_path / "earlier.db")
    return f"sqlite:///{tmp_path / 'earlier.db'}"


def test_warm_start_adds_finished_trials_once(open_, space, study, earlier_url) -> None:
    source = earlier(open_, space, earlier_url)
    assert warm_start(study, [earlier_url], space) == 2
    assert warm_start(study, [earlier_url], space) == 0
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert [trial.params for trial in study.trials] == [trial.params for trial in source.trials[:2]]
    assert study.trials[0].value == pytest.approx(0.1)


def test_warm_start_trials_are_not_the_sweeps_own(open_, space, study, earlier_url) -> None:
    earlier(open_, space, earlier_url)
    warm_start(study, [earlier_url], space)
    assert leaderboard(study) == []
    assert set(trial_counts(study).values()) == {0}


def test_warm_start_skips_parameters_outside_the_space(open_, space, write_space, earlier_url) -> None:
    earlier(open_, space, earlier_url)
    narrow = write_space(space.source.replace("1e-4, 1e-2", "1e-9, 1e-8"), "narrow.py")
    assert warm_start(open_(space=narrow), [earlier_url], narrow) == 0
    wider = write_space(space.source.replace("1e-4, 1e-2", "1e-9, 1"), "wider.py")
    assert warm_start(open_(name="w", space=wider), [earlier_url], wider) == 2


def test_warm_start_of_another_metric_is_refused(open_, space, study, base, earlier_url) -> None:
    earlier(open_, space, earlier_url, config=replace(base, {"tune.metric": "iou"}))
    with pytest.raises(InputError, match=r"same tune\.metric=dice; study 'earlier' in .* has iou"):
        warm_start(study, [earlier_url], space)


def test_warm_start_without_a_study_there_is_refused_and_creates_nothing(
    space, study, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has none; correct the URL"):
        warm_start(study, [f"sqlite:///{tmp_path}/absent.db"], space)
    assert not (tmp_path / "absent.db").exists()
