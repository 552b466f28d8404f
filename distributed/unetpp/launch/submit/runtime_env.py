"""The runtime environment of everything that runs on a cluster: code, import path, variables.

Nodes take credentials from their own environment: a job's record shows its variables to whoever reads it.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unetpp.core.errors import UserError
from unetpp.core.process_memory import SPARE_LASTING_OBJECTS
from unetpp.core.storage import Storage
from unetpp.core.waiting_threads import PASSIVE_WAITING
from unetpp.launch.submit.upload import UPLOAD_LIMIT_BYTES, Upload, megabytes, write_zip

__all__ = ["CLUSTER_ENVIRONMENT", "STATE_TRACKING", "build_runtime_env", "check_environment"]

logger = logging.getLogger(__name__)

STATE_TRACKING = "RAY_TRAIN_ENABLE_STATE_TRACKING"
CLUSTER_ENVIRONMENT = {
    **PASSIVE_WAITING,
    # Ray Train notices the end of a run only at its next poll: 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",
    # Workers' prints would appear twice.
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    # How long one try to place all workers may take; the trainer says how many tries there are. Ray notices a
    # lost node after up to 15 s and Train asks for nodes every 20 s: until then an elastic run that lost one
    # tries to have as many workers again.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "10",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # The dashboard's page of training runs reads what this actor collects.
    STATE_TRACKING: "1",
}
_STOP_ENVIRONMENT = {
    # Stopping a job is a Ctrl-C: a checkpoint is written first, for which Ray's 3 s are too short.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    "RAY_JOB_STOP_WAIT_TIME_S": "60",
}
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASS|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE", re.IGNORECASE)


def build_runtime_env(
    upload: Upload, folder: Path, *, variables: Mapping[str, str], staging: Storage | None = None
) -> dict[str, Any]:
    """Zip the upload in `folder` and describe the environment that unpacks it on every node.

    Args:
        variables: added to the job's environment.
        staging: where a zip goes that is too large for Ray's own upload; every node must reach it.

    Raises:
        UserError: the zip is too large and there is no staging, or a variable's name is a secret's.
        StorageError: the staging storage cannot be written to.
    """
    check_environment(variables)
    target = folder / "unetpp-job.zip"
    size_bytes = write_zip(upload, target)
    logger.info("upload: %s files, %s zipped", len(upload.files), megabytes(size_bytes))
    working_dir = str(target)
    if size_bytes >= UPLOAD_LIMIT_BYTES:
        if staging is None:
            raise UserError(_too_large(upload, size_bytes))
        working_dir = _stage(target, staging)
    return {
        "working_dir": working_dir,
        "worker_process_setup_hook": SPARE_LASTING_OBJECTS,
        "env_vars": {
            # Relative to the unpacked zip, which every process starts in; Python makes it absolute at once.
            "PYTHONPATH": "distributed",
            **CLUSTER_ENVIRONMENT,
            **_STOP_ENVIRONMENT,
            **variables,
        },
    }


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse variables that would put a secret into a job's record.

    Raises:
        UserError: a name is a secret's.
    """
    for name in variables:
        if _SECRET_NAME.search(name):
            raise UserError(
                f"--env {name} would show a secret in the job's record; set it in the nodes' environment"
            )


def _too_large(upload: Upload, size_bytes: int) -> str:
    return (
        f"an upload must stay below {megabytes(UPLOAD_LIMIT_BYTES)}; this one has {megabytes(size_bytes)} "
        f"(before compression: {upload.summary()}); ignore what the job does not need in .gitignore, "
        "or give --staging s3://bucket/prefix"
    )


def _stage(target: Path, staging: Storage) -> str:
    """Put the zip under a name that its content decides; equal code is uploaded once."""
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    name = f"unetpp-job-{digest[:32]}.zip"
    if not staging.exists(name):
        staging.put(target, name)
    logger.info("upload staged at %s/%s", staging.uri, name)
    return f"file://{staging.local_path(name)}" if staging.is_local else f"{staging.uri}/{name}"
