"""Definitions filled in: the numbers and the image arrive where they count."""

import re

import pytest
import yaml

from unetpp.core.errors import UserError
from unetpp.launch.definitions import DEFINITIONS, RenderRequest, render


def rendered(target, kind, **changes):
    return render(RenderRequest(target, kind, **{"workers": 3, "gpus": 2, **changes}))


def test_kuberay_cluster_gets_workers_gpus_and_image():
    spec = yaml.safe_load(rendered("kuberay", "cluster", image="r/u:1"))["spec"]
    group = spec["workerGroupSpecs"][-1]
    container = group["template"]["spec"]["containers"][0]
    assert group["maxReplicas"] == 3
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert (
        container["image"] == spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == "r/u:1"
    )


def test_kuberay_cluster_without_gpus_has_cpu_workers_only():
    text = rendered("kuberay", "cluster", gpus=0)
    spec = yaml.safe_load(text)["spec"]
    assert [group["groupName"] for group in spec["workerGroupSpecs"]] == ["cpu"]
    assert spec["workerGroupSpecs"][0]["maxReplicas"] == 3
    assert "nvidia.com/gpu" not in text
    assert "cu128" not in text


@pytest.mark.parametrize(("kind", "key"), [("train", "scale.workers"), ("tune", "tune.max_concurrent")])
def test_kuberay_job_uses_every_gpu_and_the_bucket(kind, key):
    entry = yaml.safe_load(rendered("kuberay", kind, bucket="mine"))["spec"]["entrypoint"]
    assert re.findall(rf"{re.escape(key)}=(\d+)", entry) == ["6", "6"]
    assert re.findall(r"scale\.node_gpus=(\d+)", entry) == ["2", "2"]
    assert "s3://mine/dataset" in entry
    assert "BUCKET" not in entry


def test_kuberay_job_without_gpus_trains_on_cpus():
    entry = yaml.safe_load(rendered("kuberay", "train", gpus=0))["spec"]["entrypoint"]
    assert "scale.workers=3 scale.gpu=false" in entry
    assert "scale.gpu=true" not in entry


def test_compose_gets_replicas_devices_and_a_pulled_image():
    services = yaml.safe_load(rendered("compose", "cluster", image="r/u:1"))["services"]
    assert services["worker"]["deploy"]["replicas"] == 3
    device = services["worker"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device == {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}
    assert services["head"]["image"] == "r/u:1"
    assert "build" not in services["head"]
    assert services["head"]["environment"]["RAY_AUTH_MODE"] == "token"


def test_slurm_gets_nodes_gpus_and_image():
    text = rendered("slurm", "tune", image="/images/u.sif")
    assert "#SBATCH --nodes=3\n" in text
    assert "#SBATCH --gpus-per-node=2\n" in text
    assert "IMAGE=${UNETPP_IMAGE:-/images/u.sif}" in text


@pytest.mark.parametrize("definition", DEFINITIONS, ids="-".join)
def test_every_definition_renders(definition):
    assert rendered(*definition)


def test_unknown_kind_names_those_that_exist():
    with pytest.raises(UserError, match="use --kind train or tune"):
        rendered("slurm", "pack")
