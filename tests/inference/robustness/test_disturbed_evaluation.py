"""Evaluations of attacked and corrupted images, by the files and scores that they leave."""

import pytest
import torch

from unetpp.config.sections.adversarial import AdversarialConfig
from unetpp.core.errors import InputError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.files import read_evaluations
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.robustness.attacked import Attacked
from unetpp.inference.robustness.disturbance import Disturbance
from unetpp.models.load import load_run
from unetpp.objective.attacks.attack import Attack
from unetpp.report.run.beside_masks import disturbed_rows
from unetpp.report.run.data import load_run_data


def evaluated(run, **asked):
    return evaluate(run, split="test", options=EvaluateOptions(disturbance=Disturbance(**asked)))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_evaluate_under_attack_stands_beside_the_plain_one(make_run, task):
    run = make_run(task)
    plain = evaluate(run, split="test")
    attacked = evaluated(run, attack="segpgd", steps=3, epsilon=80)
    assert attacked["disturbance"]["epsilon"] == 80
    assert plain["disturbance"] is None
    assert set(read_evaluations(RunDir(run).storage)) == {"test", "test-segpgd-80x3"}


@pytest.mark.slow
def test_evaluate_corrupted_and_attacked_are_rows_of_the_report(make_run):
    run = make_run()
    plain = evaluate(run, split="test")
    for asked in ({"corruption": "jpeg"}, {"corruption": "shot_noise", "severity": 5}, {"attack": "fgsm"}):
        assert evaluated(run, **asked)["accuracy"] == evaluated(run, **asked)["accuracy"]
    data = load_run_data(run)
    assert data.evaluation is not None
    assert data.evaluation["dice"] == plain["dice"]
    rows = {row["what"]: row for row in disturbed_rows(data)}
    assert set(rows) == {"jpeg", "shot noise", "fgsm"}
    assert rows["jpeg"]["strength"] == "severity 3 of 5"
    assert rows["fgsm"]["strength"] == "at most 8 a pixel, 1 step"
    assert all(row["clean"] == f"{plain['dice']:.3f}" for row in rows.values())


def test_attacked_samples_stay_within_epsilon_in_whole_numbers_whatever_the_batch(make_run):
    run = load_run(make_run(sizes=[(24, 24)] * 3))
    storage = open_storage(run.config.data.uri)
    samples = list(iter_samples(storage, load_manifest(storage), "test"))
    attacked = Attacked(run, Attack("pgd", 2.5, 3, "uint8"), torch.device("cpu"))
    together, alone = attacked(samples), attacked(samples[1:2])
    for before, after in zip(samples, together, strict=True):
        assert after.image.dtype == before.image.dtype
        change = abs(after.image.astype(int) - before.image.astype(int))
        assert change.max() == 2
    assert (together[1].image != alone[0].image).mean() < 0.01
    assert (together[1].image != samples[1].image).mean() > 0.5


def test_attack_through_windows_reaches_every_part(make_run, monkeypatch):
    monkeypatch.setattr("unetpp.config.run._MIN_WINDOW_PX", 16)
    run = make_run(sizes=[(40, 70)])
    samples = list(iter_samples(open_storage(load_run(run).config.data.uri), load_run(run).manifest, "test"))
    attacked = Attacked(load_run(run), Attack("fgsm", 4, 1, "uint8"), torch.device("cpu"))
    (changed,) = attacked(samples)
    moved = (changed.image != samples[0].image).any(-1)
    assert moved.shape == (40, 70)
    assert min(moved[:16].mean(), moved[-16:].mean(), moved[:, :16].mean(), moved[:, -16:].mean()) > 0.9


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"attack": "cw"}, "--attack must be one of fgsm, pgd, segpgd; it is cw"),
        ({"corruption": "snow"}, "--corruption must be one of gaussian_noise, .*jpeg; it is snow"),
        ({"attack": "pgd", "corruption": "jpeg"}, "exclude each other"),
        ({"corruption": "jpeg", "severity": 6}, "--severity must be 1 to 5"),
        ({"severity": 2}, "needs --corruption"),
        ({"epsilon": 4.0}, "need --attack"),
        ({"attack": "pgd", "epsilon": 0.0}, "must be above 0"),
        ({"attack": "fgsm", "steps": 3}, "fgsm takes one"),
        ({"attack": "pgd", "epsilon": 0.03}, "--epsilon must be 1 or more for images of uint8"),
    ],
)
def test_mistaken_disturbances_are_refused_with_their_fix(make_run, asked, message):
    with pytest.raises(InputError, match=message):
        evaluated(make_run(), **asked)


def test_attacks_of_training_and_evaluation_are_the_same():
    names = {name for name in ("fgsm", "pgd", "segpgd") if AdversarialConfig.model_validate({"attack": name})}
    assert all(Disturbance(attack=name).attack == name for name in names)
