"""The checks of `unetpp doctor`: each looks at one thing and says how to mend it."""

import importlib
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from unetpp.config.planning.hardware import Node, this_node
from unetpp.core.errors import StorageError
from unetpp.core.storage.endpoint import check_endpoint
from unetpp.launch.token import token_path

__all__ = [
    "Check",
    "check_cpus",
    "check_free",
    "check_gpu",
    "check_import",
    "check_memory",
    "check_s3",
    "check_token",
    "check_version",
    "run_checks",
]

_GIB = 2**30
_MIN_MEMORY_BYTES = 4 * _GIB
_MIN_SHM_BYTES = 1 * _GIB
_MIN_DISK_BYTES = 5 * _GIB
_FLOORS = {
    # older ones have known ways to run code from a file or a request
    "ray": (2, 56),
    "torch": (2, 10),
    "pyarrow": (14, 0, 1),
    "pillow": (13, 0),
    "s3fs": (),
    "pydantic": (),
    "safetensors": (),
}
_CREDENTIAL_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True)
class Check:
    """One line of the report; `fix` is empty where nothing is wrong."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def run_checks() -> list[Check]:
    """All checks of this machine; imports torch and ray, which takes some seconds."""
    node = this_node()
    return [
        Check("python", "ok", platform.python_version()),
        *(check_version(name, floor) for name, floor in _FLOORS.items()),
        check_import("torch"),
        check_import("ray"),
        check_cpus(node),
        check_memory(node),
        check_free(
            "/dev/shm", Path("/dev/shm"), _MIN_SHM_BYTES, "start the container with --shm-size=2g or more"
        ),
        check_gpu(node),
        check_s3(os.environ, Path.home()),
        check_token(token_path()),
        check_free(
            "disk", Path(tempfile.gettempdir()), _MIN_DISK_BYTES, "free some; Ray writes its sessions there"
        ),
    ]


def check_version(name: str, floor: tuple[int, ...]) -> Check:
    """Installed, and not older than the floor."""
    wanted = ".".join(map(str, floor))
    install = f"pip install '{name}>={wanted}'" if floor else f"pip install {name}"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "fail", "not installed", install)
    if tuple(map(int, re.findall(r"\d+", version)[: len(floor)])) < floor:
        return Check(name, "fail", f"{version} is older than {wanted}", install)
    return Check(name, "ok", version)


def check_import(name: str) -> Check:
    """The library loads; a broken build is found here rather than in a worker."""
    try:
        importlib.import_module(name)
    except Exception as error:
        fix = f"pip install --force-reinstall {name}"
        return Check(f"import {name}", "fail", f"{type(error).__name__}: {error}", fix)
    return Check(f"import {name}", "ok", "works")


def check_cpus(node: Node) -> Check:
    if node.cpus < 2:
        return Check("cpus", "warn", "1 core", "use scale.workers=1; reading and training share the core")
    return Check("cpus", "ok", f"{node.cpus:g} cores")


def check_memory(node: Node) -> Check:
    memory_bytes = node.memory_bytes or 0
    detail = f"{memory_bytes / _GIB:.1f} GiB"
    if memory_bytes < _MIN_MEMORY_BYTES:
        return Check("memory", "warn", detail, "use scale.workers=1 and a small data.batch_size")
    return Check("memory", "ok", detail)


def check_free(name: str, folder: Path, needed_bytes: int, fix: str) -> Check:
    """Free space in the file system that holds the folder."""
    if not folder.exists():
        return Check(name, "warn", "does not exist", fix)
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{free_bytes / _GIB:.1f} GiB free in {folder}"
    if free_bytes < needed_bytes:
        return Check(name, "warn", f"{detail}, less than {needed_bytes / _GIB:.0f}", fix)
    return Check(name, "ok", detail)


def check_gpu(node: Node) -> Check:
    """The driver's GPUs are the ones torch can use."""
    try:
        import torch
    except Exception:
        return Check("gpu", "warn", f"{node.gpus:g} found; torch does not load", "mend torch first")
    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if usable < node.gpus:
        detail = f"{node.gpus:g} found, {usable} usable with torch {torch.__version__}"
        return Check("gpu", "warn", detail, "install a CUDA build of torch that fits the driver")
    return Check("gpu", "ok", f"{usable} usable" if usable else "none; training runs on the CPU")


def check_s3(environment: Mapping[str, str], home: Path) -> Check:
    """Where a credential comes from, never what it is."""
    sources = [name for name in _CREDENTIAL_VARIABLES if environment.get(name)]
    shared = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", home / ".aws" / "credentials"))
    if shared.is_file():
        sources.append(str(shared))
    if bool(environment.get("AWS_ACCESS_KEY_ID")) != bool(environment.get("AWS_SECRET_ACCESS_KEY")):
        fix = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together"
        return Check("s3 credential", "fail", "one of the two variables is missing", fix)
    try:
        check_endpoint(environment)
    except StorageError as error:
        rule, _, fix = str(error).partition("; ")
        return Check("s3 credential", "fail", rule, fix)
    if not sources:
        fix = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY if you use s3:// URIs"
        return Check("s3 credential", "warn", "none found", fix)
    endpoint = ", endpoint from AWS_ENDPOINT_URL" if environment.get("AWS_ENDPOINT_URL") else ""
    return Check("s3 credential", "ok", f"from {', '.join(sources)}{endpoint}")


def check_token(path: Path) -> Check:
    """Whoever reads Ray's token can run code as this user."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return Check("ray token", "ok", "from RAY_AUTH_TOKEN")
    if not path.exists():
        return Check("ray token", "ok", "none yet; made when a cluster is started")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Check(
            "ray token", "fail", f"{path} has mode {mode:04o}; others can read it", f"chmod 600 {path}"
        )
    return Check("ray token", "ok", f"{path}, mode {mode:04o}")
