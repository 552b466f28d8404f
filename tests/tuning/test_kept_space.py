"""Code in a sweep's folder runs only if it is the study's and this user's; nothing of it runs before."""

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from fakes import write_dataset
from sweeps import LAPTOP, SPACE, start_sweep
from unetpp.cli.main import run as unetpp
from unetpp.config import load_config
from unetpp.core.errors import ConfigError, InputError, UserError
from unetpp.tuning.folder import load_started, load_sweep
from unetpp.tuning.kept_space import resume_command
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import load_space
from unetpp.tuning.study.study import SPACE_SHA256, SPACE_SOURCE
from unetpp.tuning.sweep import claim_sweep

COMPOSED = """
import runpy
from pathlib import Path

_LR = runpy.run_path(str(Path(__file__).with_name("lr.py")))["lr"]


def space(trial):
    return _LR(trial)
"""
PART = """
def lr(trial):
    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept-space-data")
    write_dataset(folder, {"train": 8, "val": 4})
    return folder


@pytest.fixture
def sweep(tmp_path: Path, data: Path) -> Path:
    """A started sweep whose space is of two files."""
    (tmp_path / "lr.py").write_text(PART)
    start_sweep(tmp_path, data, source=COMPOSED)
    return tmp_path / "sweep"


@pytest.fixture
def trap(tmp_path: Path):
    """A line of Python that leaves a mark, and whether it ran."""
    mark = tmp_path / "executed"
    return f"open({str(mark)!r}, 'w').close()\n", mark.exists


@pytest.mark.parametrize("name", ["space.py", "lr.py"])
def test_space_changed_in_the_folder_is_refused_before_it_runs(sweep, trap, name):
    line, ran = trap
    file = sweep / "space" / name
    file.write_text(file.read_text() + line)
    with pytest.raises(ConfigError, match=r"is not run(.|\n)*\+open"):
        load_started(str(sweep), [])
    assert not ran()


def test_tune_resume_of_a_changed_folder_exits_2_and_shows_what_was_added(sweep, trap, capsys):
    line, ran = trap
    file = sweep / "space" / "lr.py"
    file.write_text(line + file.read_text())
    assert unetpp(["tune", "--resume", str(sweep), "tune.trials=3"]) == 2
    assert f"+{line}" in capsys.readouterr().err
    assert unetpp(["report", str(sweep)]) == 0
    assert not ran()


def test_space_changed_with_its_study_is_refused_before_it_runs(sweep, trap):
    line, ran = trap
    (sweep / "space" / "space.py").write_text(line + SPACE)
    study = load_sweep(str(sweep))[1]
    study.set_user_attr(SPACE_SHA256, hashlib.sha256((line + SPACE).encode()).hexdigest())
    study.set_user_attr(SPACE_SOURCE, line + SPACE)
    with pytest.raises(InputError, match="given on this machine"):
        load_started(str(sweep), [])
    assert not ran()


def test_space_file_that_the_digest_does_not_cover_cannot_be_reached(sweep, trap, data):
    line, ran = trap
    source = COMPOSED.replace('"lr.py"', '"lr" + ".py"').replace("_LR =", "try:\n    _LR =")
    source = source.replace('["lr"]', '["lr"]\nexcept FileNotFoundError:\n    _LR = lambda trial: {}')
    folder = sweep.parent / "computed"
    folder.mkdir()
    start_sweep(folder, data, source=source)
    (folder / "sweep" / "space" / "lr.py").write_text(line + PART)
    load_started(str(folder / "sweep"), [])
    assert not ran()


def test_space_of_an_unknown_folder_needs_to_be_given_once(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    with pytest.raises(InputError, match="code that came with the folder") as refused:
        load_started(str(sweep), [])
    words = shlex.split(str(refused.value).rpartition("continue with: ")[2])
    assert words == ["unetpp", "tune", f"{sweep}/space/space.py", f"out={sweep}", "--resume"]
    config, space = load_started(str(sweep), [], Path(words[2]))
    assert config.model.width == 2
    claim_sweep(plan_sweep(config, space, LAPTOP, resume=True), resume=True)
    assert load_started(str(sweep), [])[1].sha256 == space.sha256


def test_space_is_remembered_readable_for_its_user_only(sweep, tmp_path, monkeypatch, data):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "new").mkdir()
    started = start_sweep(tmp_path / "new", data)
    folder = tmp_path / "state" / "unetpp" / "spaces"
    assert [path.name for path in folder.iterdir()] == [started.setup.space.sha256]
    assert folder.stat().st_mode & 0o077 == 0


def test_sweep_in_a_bucket_names_the_command_with_the_users_own_space(tmp_path, data):
    uri, study = "memory://bucket/my sweep", tmp_path / "study.db"
    (tmp_path / "space.py").write_text(SPACE)
    space = load_space(tmp_path / "space.py")
    fields = [f"data.uri={data}", "model.depth=2", "model.width=2", "data.batch_size=4"]
    config = load_config(None, [*fields, f"out={uri}", f"tune.storage=sqlite:///{study}"])
    claim_sweep(plan_sweep(config, space, LAPTOP, resume=False), resume=False)
    with pytest.raises(InputError, match="never run") as refused:
        load_started(uri, [])
    assert str(refused.value).endswith("unetpp tune SPACE.py 'out=memory://bucket/my sweep' --resume")
    again, own = load_started(uri, ["tune.trials=9"], tmp_path / "space.py")
    assert (again.model.width, again.tune.trials, again.data.uri) == (2, 9, str(data))
    assert plan_sweep(again, own, LAPTOP, resume=True).sweep_uri == uri


def test_tune_with_the_users_own_space_takes_the_configuration_of_the_sweep(sweep, tmp_path):
    from unetpp.api.tuning import load_sweep_request

    config, space = load_sweep_request(
        str(tmp_path / "space.py"), None, [f"out={sweep}", "tune.trials=3"], resume=True
    )
    assert (config.model.width, config.tune.trials, space.path) == (2, 3, tmp_path / "space.py")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("/my runs/a", ["tune", "--resume", "/my runs/a"]),
        ("s3://bucket/my runs", ["tune", "SPACE.py", "out=s3://bucket/my runs", "--resume"]),
    ],
)
def test_resume_command_is_what_a_shell_takes(uri, words):
    assert shlex.split(resume_command(uri)) == ["unetpp", *words]


def test_submit_refuses_a_sweep_in_a_bucket_before_it_reaches_a_head():
    from unetpp.cli.verbs.submit import _decided, _parse
    from unetpp.launch.submit.paths import JobPaths

    call = _parse(["tune", "--resume", "s3://bucket/sweep"])
    with pytest.raises(UserError, match=re.escape("unetpp tune SPACE.py out=s3://bucket/sweep --resume")):
        _decided(call, JobPaths(same_machine=False), gpus=0.0)
