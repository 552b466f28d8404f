"""A space whose depth and dilations are answered at once."""

import itertools
from pathlib import Path

import optuna
import pytest

from unetpp.config import load_config
from unetpp.core.errors import ConfigError
from unetpp.tuning.first_trials import enqueue_default
from unetpp.tuning.space.shared import SharedSpace, search_space
from unetpp.tuning.space.space import check_space, load_space
from unetpp.tuning.space.spread import spread
from unetpp.tuning.study.record import IS_DEFAULT

SPACE = """
def space(trial):
    depth = trial.suggest_int("model.depth", 1, 3)
    dilation = [
        trial.suggest_categorical(f"model.dilation.{row}", [1, 2, 4]) if row >= 2 else 1
        for row in range(depth + 1)
    ]
    return {
        "model.depth": depth,
        "model.dilation": dilation,
        "optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True),
        "loss.ce": trial.suggest_categorical("loss.ce", [0.0, 0.5]),
    }
"""
ALL = [(1, 1, *pair) for pair in itertools.product((1, 2, 4), repeat=2)]
ONE_SHOT = load_config(None, ["tune.one_shot=depth+dilation"])


def asked(space, *overrides: str) -> dict:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    config = load_config(None, ["tune.one_shot=depth+dilation", *overrides])
    trial = study.ask()
    values = search_space(space, config)(trial)
    return values | {"recorded": set(trial.params)}


def vectors(values: dict) -> list[tuple[int, ...]]:
    return [tuple(vector) for vector in values["model.shared_dilations"]]


def test_shared_space_has_every_vector_of_the_largest_depth(write_space):
    values = asked(write_space(SPACE))
    assert values["model.depth"] == 3
    assert sorted(vectors(values)) == sorted(ALL)
    assert tuple(values["model.dilation"]) in vectors(values)


def test_shared_space_records_only_what_is_left_to_search(write_space):
    assert asked(write_space(SPACE))["recorded"] == {"optim.lr", "loss.ce"}


def test_shared_space_takes_as_many_vectors_as_wanted_smallest_and_largest_among_them(write_space):
    found = vectors(asked(write_space(SPACE), "tune.candidates=4"))
    assert len(found) == 4
    assert (found[0], found[-1]) == ((1, 1, 1, 1), (1, 1, 4, 4))


def test_shared_space_one_dilation_for_all_rows_is_a_vector(write_space):
    space = write_space(
        'def space(trial):\n    return {"model.dilation": trial.suggest_int("model.dilation", 1, 3)}'
    )
    assert vectors(asked(space, "model.depth=2")) == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    with pytest.raises(ConfigError, match=r"model.depth=auto; give a number"):
        asked(space)


def test_shared_space_dilations_that_depend_on_each_other_are_all_found(write_space):
    space = write_space(
        """
def space(trial):
    first = trial.suggest_categorical("model.dilation.1", [1, 2])
    second = trial.suggest_categorical("model.dilation.2", [2, 4]) if first == 2 else 1
    return {"model.depth": 2, "model.dilation": [1, first, second]}
"""
    )
    assert vectors(asked(space)) == [(1, 1, 1), (1, 2, 2), (1, 2, 4)]


def test_shared_space_combination_that_the_space_gives_up_is_left_out(write_space):
    space = write_space(
        """
import optuna

def space(trial):
    last = trial.suggest_categorical("model.dilation.1", [1, 2, 4])
    if last == 2:
        raise optuna.TrialPruned("no")
    return {"model.depth": 1, "model.dilation": [1, last]}
"""
    )
    assert vectors(asked(space)) == [(1, 1), (1, 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'def space(trial):\n    return {"model.depth": trial.suggest_int("model.depth", 1, 3)}',
            "needs a space that returns model.dilation; this one does not; use tune.one_shot=depth",
        ),
        (
            'def space(trial):\n    return {"model.depth": 1, "model.dilation": [1, 2]}',
            r"needs a space with several model.dilation; this one has \[1, 2\] alone",
        ),
        (
            'def space(trial):\n    d = trial.suggest_categorical("model.dilation.1", [1, 2])\n'
            '    return {"model.depth": 1, "model.dilation": [1, d], "model.width": 8 * d}',
            r"model.width must not depend on the dilations.* it is 8 at \[1, 1\] and 16 at \[1, 2\]",
        ),
        (
            "def space(trial):\n"
            '    rows = [trial.suggest_int(f"model.dilation.{i}", 1, 9) for i in range(5)]\n'
            '    return {"model.depth": 4, "model.dilation": rows}',
            "takes at most 4096 combinations of dilations; this space has more",
        ),
    ],
)
def test_shared_space_that_cannot_share_is_refused(write_space, text, message):
    with pytest.raises(ConfigError, match=message):
        check_space(search_space(write_space(text), ONE_SHOT), ONE_SHOT)


def test_search_space_of_depth_alone_is_the_space_itself(write_space):
    space = write_space(SPACE)
    assert search_space(space, load_config(None, [])) is space
    assert isinstance(search_space(space, ONE_SHOT), SharedSpace)


def test_enqueue_default_starts_at_the_rest_of_the_base_configuration(write_space):
    study = optuna.create_study()
    base = load_config(None, ["tune.one_shot=depth+dilation", "optim.lr=0.002", "loss.ce=0.5"])
    assert enqueue_default(study, search_space(write_space(SPACE), base), base)
    (queued,) = study.get_trials()
    assert queued.system_attrs["fixed_params"] == {"optim.lr": 0.002, "loss.ce": 0.5}
    assert IS_DEFAULT not in queued.user_attrs


def test_spread_does_not_depend_on_the_order_and_keeps_the_ends():
    chosen = spread(ALL, 5)
    assert chosen == spread(ALL[::-1], 5)
    assert {(1, 1, 1, 1), (1, 1, 4, 4), (1, 1, 1, 4), (1, 1, 4, 1)} < set(chosen)
    assert spread(ALL, 99) == spread(ALL, 9)


def test_shared_space_of_the_shipped_space_has_nine_of_its_vectors():
    file = Path(__file__).parents[3] / "search_spaces" / "depth_dilation_loss.py"
    config = load_config(None, ["tune.one_shot=depth+dilation", "data.crop=96"])
    shipped = search_space(load_space(file), config)
    check_space(shipped, config)
    values = shipped(optuna.create_study().ask())
    found = vectors(values)
    assert values["model.depth"] == 4
    assert len(found) == 9
    assert (found[0], found[-1]) == ((1, 1, 1, 1, 1), (1, 1, 4, 4, 4))
