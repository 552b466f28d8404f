"""Objects of any fsspec store; s3:// through s3fs."""

import contextlib
import functools
import os
import uuid
from pathlib import Path
from typing import Any

import fsspec

from unetpp.core.storage.endpoint import check_endpoint
from unetpp.core.storage.failures import error_code, is_beyond_end, is_exists_error, is_unsupported_condition

__all__ = ["ObjectBackend", "default_environment"]

_S3 = ("s3", "s3a")
_CONNECTIONS = 32
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30.0
_ATTEMPTS_BEFORE_DEADLINE = 4
_DEFAULT_ENVIRONMENT = {
    # The SDKs' trailing checksums are refused (HTTP 411) by several S3-compatible stores.
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


def default_environment() -> dict[str, str]:
    """Variables that S3 clients of this and other processes need; what the user set wins."""
    return {name: os.environ.get(name, value) for name, value in _DEFAULT_ENVIRONMENT.items()}


class ObjectBackend:
    """Paths are `bucket/key`; folders do not exist and no markers are written."""

    def __init__(self, protocol: str, deadline_s: float) -> None:
        if protocol in _S3:
            check_endpoint(os.environ)
        os.environ.update(default_environment())
        # A stalled request must leave time for others before the deadline.
        timeout_s = min(_READ_TIMEOUT_S, deadline_s / _ATTEMPTS_BEFORE_DEADLINE)
        cloud = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
        self._fs = _filesystem(protocol, cloud, timeout_s)

    def exists(self, path: str) -> bool:
        try:
            self._fs.info(path)
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return False
        return True

    def read(self, path: str) -> bytes:
        data: bytes = self._fs.cat_file(path)
        return data

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        try:
            data: bytes = self._fs.cat_file(path, start=start, end=stop)
        except Exception as error:
            if is_beyond_end(error):
                return b""
            raise
        return data

    def size(self, path: str) -> int:
        return int(self._fs.info(path)["size"])

    def stamp(self, path: str) -> str:
        return str(self._fs.ukey(path))

    def write(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Write unless the object exists.

        Atomic where the store honours `If-None-Match: *`; a store that ignores it gets the check before
        the write, which leaves a short gap between two writers.
        """
        if self.exists(path):
            return False
        return self._create(path, data)

    def supports_create(self, root: str) -> bool:
        """Write one probe object twice; only a store that honours the condition refuses the second."""
        probe = f"{root}/.unetpp-probe-{uuid.uuid4().hex}"
        try:
            self._create(probe, b"1")
            return not self._create(probe, b"2")
        finally:
            self.delete(probe)

    def _create(self, path: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(path, data, mode="create")
        except Exception as error:
            if is_exists_error(error):
                return False
            if not is_unsupported_condition(error):
                raise
            self._fs.pipe_file(path, data)
        return True

    def upload(self, local_path: Path, path: str) -> None:
        self._fs.put_file(str(local_path), path)

    def download(self, path: str, local_path: Path) -> None:
        self._fs.get_file(path, str(local_path))

    def find(self, folder: str) -> list[str]:
        try:
            return [path for path in self._fs.find(folder) if not path.endswith("/")]
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return []

    def delete(self, path: str) -> None:
        """Delete the object and everything below `path/`."""
        for found in [*self.find(path), path]:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(found)

    def check(self, root: str, *, write: bool) -> None:
        """List one level, and write and delete a probe object."""
        try:
            self._fs.ls(root, detail=False)
        except FileNotFoundError as error:  # an empty prefix is fine, a missing bucket is not
            if error_code(error) == "NoSuchBucket":
                raise
        if write:
            probe = f"{root}/.unetpp-probe-{uuid.uuid4().hex}"
            self._fs.pipe_file(probe, b"")
            self._fs.rm_file(probe)


@functools.lru_cache(maxsize=8)
def _filesystem(
    protocol: str,
    cloud: tuple[tuple[str, str], ...],  # noqa: ARG001, part of the key
    timeout_s: float,
) -> Any:
    """One client per key; a server may stay silent for `timeout_s`; the environment holds the credentials."""
    if protocol not in _S3:
        return fsspec.filesystem(protocol)
    fs = fsspec.filesystem(
        "s3",
        skip_instance_cache=True,
        use_listings_cache=False,  # other processes write too
        max_concurrency=1,  # one GET per object: parts of two versions never mix
        config_kwargs={
            "connect_timeout": min(_CONNECT_TIMEOUT_S, timeout_s),
            "read_timeout": timeout_s,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"max_attempts": 1},  # core.retry is the one place that retries
        },
    )
    fs.retries = 1
    return fs
