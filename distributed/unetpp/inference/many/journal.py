"""Where a call stands that may be killed: hidden files in the folder of its masks.

    .predict/call.json       what was asked of which network
    .predict/NUMBER.json     what a writer keeps of images, where it puts all images into one file

An image is done when all its own files are there: they appear whole or not at all. The journal is deleted
when a call ends without a failure.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from unetpp.core.errors import ExistsError
from unetpp.core.storage import Storage

__all__ = ["Journal"]

_FOLDER = ".predict"
_CALL = f"{_FOLDER}/call.json"
_RECORDS_AT_ONCE = 64


class Journal:
    """Of one folder of masks.

    Args:
        target: the folder.
        call: what decides the bytes of the masks; JSON.
    """

    def __init__(self, target: Storage, call: Mapping[str, Any]) -> None:
        self._target = target
        self._call: Mapping[str, Any] = json.loads(json.dumps(call))
        self._records: dict[str, Any] = {}
        self._unwritten: dict[str, Any] = {}
        self._parts = 0

    def begin(self) -> None:
        """Begin a call."""
        self.end()
        self._target.write(_CALL, json.dumps(self._call, indent=1).encode())

    def load(self) -> bool:
        """Read what the call that did not end has noted; whether there is such a one.

        Raises:
            ExistsError: it predicted otherwise, or replaced masks of before.
        """
        if not self._target.exists(_CALL):
            return False
        self._require_same(json.loads(self._target.read(_CALL)))
        for path in self._target.list(f"{_FOLDER}/"):
            if path != _CALL:
                self._records |= json.loads(self._target.read(path))
                self._parts += 1
        return True

    def done(self, own_files: Mapping[str, Iterable[str]], *, needs_records: bool) -> set[str]:
        """Names of the images whose files are all there.

        Args:
            own_files: of each image, its files below the folder.
            needs_records: whether an image's record must be known, too.
        """
        existing = set(self._target.list())
        return {
            name
            for name, files in own_files.items()
            if existing.issuperset(files) and (name in self._records or not needs_records)
        }

    def add(self, name: str, record: Any) -> None:
        """Note an image, if its writer keeps something of it."""
        self._records[name] = record
        if record is None:
            return
        self._unwritten[name] = record
        if len(self._unwritten) == _RECORDS_AT_ONCE:
            self._target.write(f"{_FOLDER}/{self._parts:06d}.json", json.dumps(self._unwritten).encode())
            self._unwritten = {}
            self._parts += 1

    def records(self, names: Iterable[str]) -> list[Any]:
        """What the writer keeps of images, in the order of these names, without those that it has not."""
        return [self._records[name] for name in names if name in self._records]

    def end(self) -> None:
        """Forget the call."""
        self._target.delete(_FOLDER)

    def _require_same(self, before: Mapping[str, Any]) -> None:
        differing = [key for key in self._call if before.get(key) != self._call[key]]
        if differing:
            key = differing[0]
            raise ExistsError(
                f"--resume goes on with the call before, whose {key} was {before.get(key)}; now it is "
                f"{self._call[key]}: give it as before, name another --out, or begin anew with --overwrite"
            )
        if before.get("overwrite"):
            raise ExistsError(
                f"the call before replaced masks in {self._target.uri} (--overwrite), which cannot be told "
                "from new ones; begin anew with --overwrite"
            )
