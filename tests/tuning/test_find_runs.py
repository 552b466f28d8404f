"""Runs and sweeps below a folder."""

from pathlib import Path

from unetpp.tuning.find_runs import find_results


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_find_results_tells_runs_sweeps_and_trials_apart(tmp_path: Path) -> None:
    _touch(
        tmp_path, "a/config.yaml", "b/c/config.yaml", "s/sweep.yaml", "s/trials/0000/config.yaml",
        "s/confirm/0000-seed1/config.yaml", "other/trials/0001/config.yaml", "a/checkpoints/x/config.json",
    )  # fmt: skip
    found = find_results(str(tmp_path))
    assert found.sweeps == ("s",)
    assert found.runs == ("a", "b/c", "other/trials/0001", "s/confirm/0000-seed1")


def test_find_results_root_itself_is_the_empty_path(tmp_path: Path) -> None:
    _touch(tmp_path, "sweep.yaml", "trials/0000/config.yaml")
    found = find_results(str(tmp_path))
    assert (found.runs, found.sweeps) == ((), ("",))


def test_find_results_missing_folder_has_none(tmp_path: Path) -> None:
    found = find_results(str(tmp_path / "nowhere"))
    assert (found.runs, found.sweeps) == ((), ())
