"""A sweep on a cluster whose nodes an autoscaler adds."""

import json
from pathlib import Path

import pytest

from autoscaling_cluster import autoscaling_cluster
from fakes import write_dataset
from verb_process import run_verbs

_SMALL = ("model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]", "scale.gpu=false")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_sweep_waits_for_the_nodes_that_an_autoscaler_adds(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"train": 16, "val": 4})
    space = tmp_path / "space.py"
    space.write_text("def space(trial):\n    return {'optim.lr': trial.suggest_float('lr', 1e-3, 1e-2)}\n")
    with autoscaling_cluster(tmp_path, node_cpus=2, max_nodes=2) as address:
        common = (
            f"data.uri={tmp_path / 'data'}", f"scale.address={address}", "scale.cpus_per_worker=2",
            "train.epochs=2", "tune.trials=2", "tune.max_concurrent=2", "tune.scheduler=none", *_SMALL,
            "--json",
        )  # fmt: skip
        # As in a job, whose code is there: these nodes share a folder and would unpack over each other.
        in_job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {}}', "RAY_ADDRESS": address}
        refused, waited = run_verbs(
            ("tune", str(space), f"out={tmp_path / 'no'}", *common),
            ("tune", str(space), f"out={tmp_path / 'sweep'}", "scale.autoscaling=true", *common),
            **in_job,
        )
        assert refused.returncode == 2
        assert "training needs places for 1 worker(s) of 2 CPU" in refused.stderr
        assert waited.returncode == 0, waited.stderr
        assert "0 of 2 workers have a place now; the others wait for nodes" in waited.stderr
        assert json.loads(waited.stdout.splitlines()[-1])["trials"]["complete"] == 2
