"""Every shipped space gives valid configurations, whatever is drawn from it."""

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FixedTrial

from unetpp.config import RunConfig, load_config
from unetpp.tuning.optuna_logs import route_logs
from unetpp.tuning.space.apply import apply
from unetpp.tuning.space.space import check_space, load_space

FOLDER = Path(__file__).parents[2] / "search_spaces"
SPACES = sorted(FOLDER.glob("*.py"))
DRAWS = 50

ARCHITECTURE = {
    "model.depth": 3,
    "model.width": 16,
    "model.dense": "plus",
    "model.norm": "group",
    "model.deep_supervision": True,
    "model.dilation.1": 1,
    "model.dilation.2": 2,
    "model.dilation.3": 4,
}
LOSS = {
    "loss.focal": 0.5,
    "loss.focal_gamma": 1.5,
    "loss.tversky": 0.25,
    "loss.tversky_alpha": 0.4,
    "loss.ce": 0.7,
    "loss.level_decay": 0.7,
}
OPTIMISER = {
    "optim.name": "sgd",
    "optim.lr.sgd": 0.05,
    "optim.weight_decay": 1e-5,
    "optim.schedule": "poly",
    "optim.warmup": 0.02,
}
AUGMENTATION = {
    "augment.scale.1": 1.25,
    "augment.flip": 0.5,
    "augment.rotate_deg": 90.0,
    "augment.affine": 0.3,
    "augment.colour": 0.1,
    "augment.noise": 0.02,
}
AROUND_THE_PLAN = {
    "model.width": 24,
    "optim.lr": 2e-3,
    "optim.encoder_lr_factor": 0.25,
    "optim.weight_decay": 1e-4,
    "loss.ce": 0.5,
    "loss.lovasz": 0.5,
    "loss.level_decay": 0.5,
    "augment.affine": 0.5,
    "augment.colour": 0.2,
}
FIXED: dict[str, dict[str, Any]] = {
    "architecture": ARCHITECTURE,
    "augmentation": AUGMENTATION,
    "auto": AROUND_THE_PLAN,
    "depth_dilation_loss": {"model.depth": 3, "model.dilation.2": 2, "model.dilation.3": 4} | LOSS,
    "full": ARCHITECTURE | LOSS | OPTIMISER,
    "loss": LOSS,
    "optimiser": OPTIMISER,
    "smoke": {"model.width": 4, "optim.lr": 1e-3},
}


def fixed(name: str) -> RunConfig:
    return apply(RunConfig(), load_space(FOLDER / f"{name}.py")(FixedTrial(FIXED[name])))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_space_random_draws_are_valid_configurations(path: Path) -> None:
    check_space(load_space(path), load_config(None, ["data.crop=64"]), draws=DRAWS)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_space_fixed_parameters_are_all_used(path: Path) -> None:
    trial = FixedTrial(FIXED[path.stem])
    apply(RunConfig(), load_space(path)(trial))
    assert trial.params == FIXED[path.stem]


def test_architecture_dilates_the_deepest_levels_only() -> None:
    model = fixed("architecture").model
    assert (model.depth, model.width, model.dense, model.norm) == (3, 16, "plus", "group")
    assert model.dilation == (1, 1, 2, 4)
    space = load_space(FOLDER / "architecture.py")
    deep = space(FixedTrial(ARCHITECTURE | {"model.depth": 5, "model.dilation.4": 2, "model.dilation.5": 2}))
    assert deep["model.dilation"] == [1, 1, 1, 4, 2, 2]


def test_loss_tversky_costs_sum_to_one() -> None:
    loss = fixed("loss").loss
    assert (loss.tversky_alpha, loss.tversky_beta) == (0.4, 0.6)


def test_augmentation_zoom_is_symmetric() -> None:
    assert fixed("augmentation").augment.scale == (0.8, 1.25)


def test_full_is_the_union_of_its_parts() -> None:
    parts: dict[str, Any] = {}
    for name in ("architecture", "loss", "optimiser"):
        parts |= load_space(FOLDER / f"{name}.py")(FixedTrial(FIXED[name]))
    assert load_space(FOLDER / "full.py")(FixedTrial(FIXED["full"])) == parts


def test_full_pickled_runs_without_its_folder(tmp_path: Path) -> None:
    for file in SPACES:
        shutil.copy(file, tmp_path)
    space = load_space(tmp_path / "full.py")
    data = pickle.dumps(space)
    shutil.rmtree(tmp_path)
    copy = pickle.loads(data)
    assert copy == space
    assert copy(FixedTrial(FIXED["full"])) == space(FixedTrial(FIXED["full"]))


def test_full_digest_follows_its_parts_and_no_other_file(tmp_path: Path) -> None:
    for file in SPACES:
        shutil.copy(file, tmp_path)
    before = load_space(tmp_path / "full.py").sha256
    (tmp_path / "smoke.py").write_text("")
    assert load_space(tmp_path / "full.py").sha256 == before
    with (tmp_path / "loss.py").open("a") as file:
        file.write("# changed\n")
    assert load_space(tmp_path / "full.py").sha256 != before


def test_single_file_digest_is_that_of_the_file() -> None:
    path = FOLDER / "smoke.py"
    assert load_space(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_space_is_searchable_by_multivariate_tpe_without_range_conflicts(path: Path) -> None:
    route_logs()
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, n_startup_trials=2)
    study = optuna.create_study(sampler=sampler)
    space = load_space(path)
    for value in range(6):
        trial = study.ask()
        space(trial)
        study.tell(trial, float(value))
