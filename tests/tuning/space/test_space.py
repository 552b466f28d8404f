import pickle
from pathlib import Path

import pytest
from optuna.trial import FixedTrial

from unetpp.config import RunConfig, flatten
from unetpp.core.errors import ConfigError, InputError
from unetpp.tuning.space.apply import apply
from unetpp.tuning.space.space import Space, check_space, load_space


def test_load_space_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no search space at .*absent\.py"):
        load_space(tmp_path / "absent.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def space(trial:\n", r"space\.py:1: the space file must be valid Python"),
        ("x = 1\n", r"must define space\(trial\)"),
        ("space = 3\n", r"must define space\(trial\)"),
        ("import math\n\nmath.sqrt(-1)\n", r"space\.py:3: .* raised ValueError"),
        ("import absent_package\n", r"space\.py:1: .* raised ModuleNotFoundError"),
    ],
)
def test_load_space_file_that_does_not_load_names_the_line(write_space, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        write_space(text)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'model.dept': 3}", r"space\.py: unknown key 'model\.dept'; did you mean model\.depth\?"),
        ("return {'model': 3}", r"unknown key 'model'"),
        ("return {3: 3}", "unknown key 3"),
        ("return None", r"must return a dict of config fields; it returned NoneType"),
        (
            "return {'model.depth': 9}",
            r"space\.py: model\.depth=9 must be at most 6; use 6 .*\(drawn: x=",
        ),
        ("return {'optim.lr': 'fast'}", r"optim\.lr=fast must be a number"),
        ("return {'out': 'x'}", r"must not set out"),
        ("return {'tune.trials': 3}", r"must not set tune\.trials"),
        ("return {'scale.workers': 2}", r"must not set scale\.workers"),
        ("return {'data.uri': 'x'}", r"must not set data\.uri"),
        ("return {}[0]", r"space\.py:3: space\(trial\) must not raise; it raised KeyError"),
        ("return trial.suggest_float('x', 1, 2)", "it raised ValueError|it returned float"),
    ],
)
def test_check_space_wrong_space_says_what_and_where(write_space, body: str, said: str) -> None:
    space = write_space(f"def space(trial):\n    trial.suggest_int('x', 1, 3)\n    {body}\n")
    with pytest.raises(ConfigError, match=said):
        check_space(space, RunConfig())


def test_check_space_failure_inside_a_neighbour_names_its_line(write_space, tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("def space(trial):\n    raise RuntimeError('no')\n")
    space = write_space(
        "import runpy, pathlib\n"
        "part = runpy.run_path(str(pathlib.Path(__file__).with_name('part.py')))['space']\n"
        "def space(trial):\n    return part(trial)\n"
    )
    with pytest.raises(ConfigError, match=r"part\.py:2: .* RuntimeError: no"):
        check_space(space, RunConfig())


def test_check_space_finds_a_rare_mistake(write_space) -> None:
    space = write_space(
        "def space(trial):\n    return {'model.depth': trial.suggest_int('model.depth', 1, 7)}\n"
    )
    with pytest.raises(ConfigError, match=r"\(drawn: model\.depth=7\)"):
        check_space(space, RunConfig(), draws=60)


def test_check_space_choices_that_change_between_trials_are_refused(write_space) -> None:
    space = write_space(
        "def space(trial):\n"
        "    depth = trial.suggest_int('model.depth', 1, 3)\n"
        "    width = trial.suggest_categorical('model.width', [8 * depth])\n"
        "    return {'model.depth': depth, 'model.width': width}\n"
    )
    with pytest.raises(ConfigError, match=r"space\.py:3: .*does not support dynamic value space"):
        check_space(space, RunConfig())


def test_space_that_prunes_is_let_through(write_space) -> None:
    check_space(write_space("import optuna\ndef space(trial):\n    raise optuna.TrialPruned\n"), RunConfig())


def test_space_pickled_runs_where_its_file_is_not(space: Space) -> None:
    data = pickle.dumps(space)
    space.path.unlink()
    copy = pickle.loads(data)
    params = {"model.depth": 2, "model.dilation.2": 2, "optim.lr": 1e-3}
    assert copy(FixedTrial(params)) == {
        "model.depth": 2,
        "model.dilation": [1, 1, 2],
        "optim.lr": 1e-3,
    }
    assert copy.sha256 == space.sha256


def test_space_pickled_keeps_its_source_when_the_file_changes(space: Space) -> None:
    data = pickle.dumps(space)
    space.path.write_text("def space(trial):\n    return {}\n")
    params = {"model.depth": 2, "model.dilation.2": 2, "optim.lr": 1e-3}
    assert pickle.loads(data)(FixedTrial(params))["model.depth"] == 2


def test_apply_changes_only_what_is_given(base: RunConfig) -> None:
    changed = apply(base, {"model.depth": 2, "model.dilation": [1, 1, 2], "loss.ce": 0.1})
    before, after = flatten(base), flatten(changed)
    assert {key for key in after if after[key] != before[key]} == {
        "model.depth",
        "model.dilation",
        "loss.ce",
    }
    assert (changed.model.dilation, changed.loss.ce) == ((1, 1, 2), 0.1)
