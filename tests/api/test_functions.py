"""What `import unetpp` offers, called as a program would."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

import unetpp
from fakes import write_dataset
from unetpp.core.errors import ConfigError, InputError
from unetpp.data.synthetic import make_cells
from untrained_run import write_untrained_run

NAMES = {
    "pack", "train", "tune", "evaluate", "predict", "export", "load", "serve", "UNetPlusPlus", "RunConfig",
    "load_config", "Space", "Callback", "__version__",
}  # fmt: skip


def test_surface_is_what_it_was_pinned_to() -> None:
    assert set(unetpp.__all__) == NAMES
    assert set(dir(unetpp)) == NAMES
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = unetpp.fit  # type: ignore[attr-defined]


def test_import_alone_loads_no_library_and_prints_nothing() -> None:
    program = "import sys, unetpp; assert not {'torch', 'ray', 'optuna', 'pydantic'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_no_part_of_the_package_takes_the_name_of_a_function() -> None:
    parts = {part.name for part in pkgutil.iter_modules(unetpp.__path__)}
    assert parts & NAMES == set()
    for part in sorted(parts - {"__main__"}):
        import_module(f"unetpp.{part}")
    assert all(callable(getattr(unetpp, name)) for name in NAMES - {"__version__"})


def test_pack_gives_rows_and_what_was_left_out(tmp_path) -> None:
    make_cells(tmp_path / "cells", count=8, size_px=16, seed=0)
    (tmp_path / "cells/images/odd.png").write_bytes(b"no image")
    images, masks = tmp_path / "cells/images", tmp_path / "cells/masks"
    result = unetpp.pack(images, masks, tmp_path / "data", val=0.25, test=0, workers=0)
    assert sum(result.rows.values()) == 8
    assert [file for file, _ in result.rejected] == [str(images / "odd.png")]
    assert "rows: train=" in repr(result)
    named = unetpp.pack({"test": images}, {"test": masks}, tmp_path / "test", workers=0)
    assert named.rows == {"test": 8}


@pytest.mark.slow
def test_scores_masks_and_files_of_a_run(tmp_path) -> None:
    run = write_untrained_run(tmp_path)
    scores = unetpp.evaluate(run)
    assert 0 <= scores.dice <= 1
    assert scores.rows > 0
    assert f"levels: Dice of level 1={scores.levels['1']['dice']:.4g}" in repr(scores)
    pixels = np.zeros((20, 24, 3), dtype=np.uint8)
    assert unetpp.load(run, level=1).predict(pixels).mask.shape == (20, 24)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images/a.png")
    written = unetpp.predict(run, tmp_path / "images", tmp_path / "masks")
    assert (written.predicted, written.failed) == (1, [])
    exported = unetpp.export(run, tmp_path / "model.safetensors", level=1)
    assert exported.level == 1
    assert exported.max_abs_diff == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"train.epoch": 3}, "did you mean train.epochs"),
        ({"model.depth": 9}, "model.depth=9 must be at"),
    ],
)
def test_train_mistake_is_an_error_of_the_caller(tmp_path, overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        unetpp.train(tmp_path / "data", tmp_path / "run", overrides)


def test_evaluate_without_a_run_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match="no run at"):
        unetpp.evaluate(tmp_path)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_and_tune_join_the_ray_that_is_there_and_print_nothing(tmp_path, ray_cluster, capfd) -> None:
    import ray

    data = tmp_path / "data"
    write_dataset(data, {"train": 8, "val": 4})
    small = {"model.depth": 2, "model.width": 4, "train.epochs": 2, "data.batch_size": 4, "scale.gpu": False}
    result = unetpp.train(data, tmp_path / "run", small)
    assert ray.is_initialized()
    assert (result.finished, result.epochs) == (True, 2)
    assert "<svg" in result._repr_html_()
    (tmp_path / "space.py").write_text(
        "def space(trial):\n    return {'optim.lr': trial.suggest_float('lr', 1e-3, 1e-2)}\n"
    )
    sweep = unetpp.tune(tmp_path / "space.py", data, tmp_path / "sweep", small | {"tune.trials": 2})
    assert sweep.trials["complete"] + sweep.trials["pruned"] == 2
    assert sweep.best is not None
    assert unetpp.evaluate(sweep.best_run, split="val").rows > 0
    assert capfd.readouterr().out == ""
