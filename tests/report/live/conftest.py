"""A sweep as `unetpp tune` leaves it while it runs, with three trials."""

from pathlib import Path

import pytest

from sweep_results import finish, record_epoch, results
from unetpp.config import dump_yaml, load_config, replace
from unetpp.core.manifest import Manifest
from unetpp.core.places import SWEEP_CONFIG, trial_uri
from unetpp.core.rundir import RunDir
from unetpp.tuning.folder import study_name
from unetpp.tuning.space.space import load_space
from unetpp.tuning.study.study import open_study

_SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2)}\n'


@pytest.fixture
def sweep(tmp_path: Path, manifest: Manifest) -> str:
    """Trial 0 is complete at 0.8, trial 1 failed, trial 2 runs at 0.7."""
    folder = tmp_path / "sw"
    (folder / "space").mkdir(parents=True)
    (folder / "space" / "space.py").write_text(_SPACE)
    config = load_config(
        None,
        ["data.uri=d", "data.crop=32", "model.depth=2", "model.in_channels=3", "model.num_classes=1",
         "model.image_classes=0", "scale.gpu=false", "data.batch_size=4", f"out={folder}", "tune.trials=4"],
    )  # fmt: skip
    (folder / SWEEP_CONFIG).write_text(dump_yaml(config))
    space = load_space(folder / "space" / "space.py")
    study = open_study(f"sqlite:///{folder / 'study.db'}", study_name(config), space=space, config=config)
    for quality, epochs in ((0.8, 3), (None, 0), (0.7, 2)):
        number = study.ask().number
        RunDir(trial_uri(str(folder), number)).create(
            replace(config, {"out": trial_uri(str(folder), number)}).model_dump(mode="json"), [], manifest, {}
        )
        for epoch in range(1, epochs + 1):
            assert quality is not None
            record_epoch(study, number, epoch, results(quality - 0.05, quality), seconds=60.0)
    finish(study, 0, "COMPLETE")
    finish(study, 1, "FAIL", cause="OutOfMemoryError: <b>no</b> memory, password=hunter2")
    return str(folder)
