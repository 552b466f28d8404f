"""Trial folders are named and recognised alike."""

import pytest

from unetpp.core.places import trial_of, trial_uri


@pytest.mark.parametrize("sweep", ["", "sweep", "/data/sweep", "s3://bucket/sweeps/one"])
def test_trial_folder_names_its_sweep_and_number(sweep: str) -> None:
    assert trial_uri(sweep, 7) == f"{sweep}/trials/0007".removeprefix("/" if not sweep else "")
    assert trial_of(trial_uri(sweep, 12345)) == (sweep, 12345)
    assert trial_uri("sweep/", 0) == "sweep/trials/0000"


@pytest.mark.parametrize("path", ["", "runs/first", "sweep/trials", "sweep/trials/x", "sweep/0001"])
def test_other_folders_are_no_trials(path: str) -> None:
    assert trial_of(path) is None
