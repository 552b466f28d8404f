"""Trials and workers that share a GPU, as far as Ray's bookkeeping goes: no GPU is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("shared_gpu.py")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_shared_gpu_holds_two_trials_at_once_and_two_workers_of_one(tmp_path):
    paths = [str(SCRIPT.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        # Ray reads the mode when it is imported.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_AUTH_MODE": "token"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["concurrent"] == 2
    for given in (found["trials"], found["workers"]):
        assert [each["GPU"] for each in given] == [0.5, 0.5]
        assert [each["CPU"] for each in given] == [1, 1]
