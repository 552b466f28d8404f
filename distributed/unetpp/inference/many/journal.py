"""Where a call stands that may be killed: hidden files in the folder of its masks.

    .predict/call.json       what was asked of which network
    .predict/NUMBER.json     what a writer keeps of images, where it puts all images into one file
    .predict/review-NUMBER.json   how certain the network is of images, where a review is asked for

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
_REVIEW = "review-"
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
        self._records = _Book(target, "")
        self._reviews = _Book(target, _REVIEW)

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
                (self._reviews if path.startswith(f"{_FOLDER}/{_REVIEW}") else self._records).load(path)
        return True

    def done(
        self, own_files: Mapping[str, Iterable[str]], *, needs_records: bool, needs_reviews: bool
    ) -> set[str]:
        """Names of the images whose files are all there.

        Args:
            own_files: of each image, its files below the folder.
            needs_records: whether an image's record must be known, too.
            needs_reviews: whether the network's certainty must.
        """
        existing = set(self._target.list())
        return {
            name
            for name, files in own_files.items()
            if existing.issuperset(files)
            and (name in self._records.entries or not needs_records)
            and (name in self._reviews.entries or not needs_reviews)
        }

    def add(self, name: str, record: Any, review: Any = None) -> None:
        """Note an image, if its writer or a review keeps something of it."""
        self._records.add(name, record)
        self._reviews.add(name, review)

    def flush(self) -> None:
        """Write what was noted and waits for company."""
        self._records.flush()
        self._reviews.flush()

    def records(self, names: Iterable[str]) -> list[Any]:
        """What the writer keeps of images, in the order of these names, without those that it has not."""
        known = self._records.entries
        return [known[name] for name in names if name in known]

    def reviews(self) -> Mapping[str, Any]:
        """What a review keeps of images, by name."""
        return self._reviews.entries

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


class _Book:
    """Values by image, written some at a time.

    Args:
        target: see `Journal`.
        prefix: of its files' names.
    """

    def __init__(self, target: Storage, prefix: str) -> None:
        self._target, self._prefix = target, prefix
        self.entries: dict[str, Any] = {}
        self._unwritten: dict[str, Any] = {}
        self._files = 0

    def load(self, path: str) -> None:
        self.entries |= json.loads(self._target.read(path))
        self._files += 1

    def add(self, name: str, value: Any) -> None:
        """None is known, but not worth a file."""
        self.entries[name] = value
        if value is None:
            return
        self._unwritten[name] = value
        if len(self._unwritten) == _RECORDS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if not self._unwritten:
            return
        path = f"{_FOLDER}/{self._prefix}{self._files:06d}.json"
        self._target.write(path, json.dumps(self._unwritten).encode())
        self._unwritten = {}
        self._files += 1
