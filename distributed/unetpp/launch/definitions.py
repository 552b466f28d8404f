"""The definitions of `cluster/` filled in for a number of workers, GPUs and an image."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from unetpp.core.errors import UserError
from unetpp.launch.definition_files import shipped

__all__ = ["DEFINITIONS", "Kind", "RenderRequest", "Target", "definition_path", "render"]

Target = Literal["kuberay", "slurm", "compose"]
Kind = Literal["cluster", "pack", "train", "tune"]

DEFINITIONS: dict[tuple[Target, Kind], str] = {
    ("kuberay", "cluster"): "kuberay/raycluster.yaml",
    ("kuberay", "pack"): "kuberay/rayjob-pack.yaml",
    ("kuberay", "train"): "kuberay/rayjob-train.yaml",
    ("kuberay", "tune"): "kuberay/rayjob-tune.yaml",
    ("slurm", "train"): "slurm/train.sbatch",
    ("slurm", "tune"): "slurm/tune.sbatch",
    ("compose", "cluster"): "compose.yaml",
}
_GPU = "nvidia.com/gpu"
_BUCKET = "BUCKET"


@dataclass(frozen=True)
class RenderRequest:
    """What to fill in."""

    target: Target
    kind: Kind
    workers: int
    gpus: int
    """Per worker node."""
    image: str | None = None
    bucket: str | None = None


def render(request: RenderRequest) -> str:
    """The text of a definition, ready for kubectl, sbatch or docker compose.

    Raises:
        UserError: there is no such definition.
    """
    path = definition_path(request.target, request.kind)
    text = path.read_text(encoding="utf-8")
    if request.bucket:
        text = text.replace(_BUCKET, request.bucket)
    if request.target == "slurm":
        return _slurm(text, request)
    tree = yaml.safe_load(text)
    (_compose if request.target == "compose" else _kuberay)(tree, request)
    header = f"# {path.name} for {request.workers} workers with {request.gpus} GPU(s) each.\n"
    return header + yaml.safe_dump(tree, sort_keys=False, width=100)


def definition_path(target: Target, kind: Kind) -> Path:
    """The file in `cluster/`: of the checkout, or of the installed package.

    Raises:
        UserError: the target has no such kind.
    """
    if (target, kind) not in DEFINITIONS:
        kinds = " or ".join(known for known in get_args(Kind) if (target, known) in DEFINITIONS)
        raise UserError(f"{target} has no definition of kind {kind}; use --kind {kinds}")
    return shipped(DEFINITIONS[target, kind])


def _kuberay(tree: dict[str, Any], request: RenderRequest) -> None:
    spec = tree["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    head["image"] = request.image or head["image"]
    groups = cluster["workerGroupSpecs"]
    if len(groups) > 1:
        # The group that trains is kept; packing goes to the CPU workers beside it.
        groups[:] = groups if request.gpus else groups[:1]
    for group in groups:
        container = group["template"]["spec"]["containers"][0]
        if group is groups[-1]:
            group["maxReplicas"] = request.workers
            for limits in container["resources"].values():
                limits.pop(_GPU, None)
                if request.gpus:
                    limits[_GPU] = str(request.gpus)
        if request.image or not request.gpus:
            container["image"] = head["image"]
    if "entrypoint" in spec:
        spec["entrypoint"] = _entrypoint(spec["entrypoint"], request)


def _entrypoint(text: str, request: RenderRequest) -> str:
    """As many training workers, or trials at once, as there are GPUs; without GPUs one a node."""
    places = request.workers * max(1, request.gpus)
    key = "tune.max_concurrent" if request.kind == "tune" else "scale.workers"
    text = re.sub(rf"{re.escape(key)}=\d+", f"{key}={places}", text)
    text = re.sub(r"scale\.node_gpus=\d+", f"scale.node_gpus={request.gpus}", text)
    return text.replace("scale.gpu=true", f"scale.gpu={str(request.gpus > 0).lower()}")


def _compose(tree: dict[str, Any], request: RenderRequest) -> None:
    services = tree["services"]
    services["worker"]["deploy"] = {"replicas": request.workers}
    if request.gpus:
        device = {"driver": "nvidia", "count": request.gpus, "capabilities": ["gpu"]}
        services["worker"]["deploy"]["resources"] = {"reservations": {"devices": [device]}}
    # Already merged into the services by the anchors.
    del tree["x-ray"]
    for name in ("head", "worker"):
        if request.image:
            services[name]["image"] = request.image
            del services[name]["build"]


def _slurm(text: str, request: RenderRequest) -> str:
    for option, value in (("nodes", request.workers), ("gpus-per-node", request.gpus)):
        text = re.sub(rf"(?m)^#SBATCH --{option}=\d+$", f"#SBATCH --{option}={value}", text)
    if request.image:
        text = text.replace("${UNETPP_IMAGE:-}", f"${{UNETPP_IMAGE:-{request.image}}}")
    return text
