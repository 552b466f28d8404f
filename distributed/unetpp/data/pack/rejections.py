"""Files that are left out of a dataset: how many may be, and whether it is the files that are at fault.

A file that is missing or refused is rejected only while another of its folder can be read. Where none can,
the storage failed: a set without what it did not hand out would look complete.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from unetpp.core.errors import InputError, StorageError
from unetpp.core.storage import Storage
from unetpp.data.pack.discover import Pair, Rejection
from unetpp.data.sources.files import FileRef, UnreadFileError, location, read_file

__all__ = ["REJECTED", "STRICT", "RejectionLimit", "Rejections"]

REJECTED = "rejected.jsonl"
_SHOWN = 3


@dataclass(frozen=True)
class RejectionLimit:
    """How many files may be left out: a number, or a share of all pairs and files without a partner."""

    text: str
    number: float
    is_share: bool
    at_once: bool = False
    """Fail on the first file rather than once all have been looked at."""

    @classmethod
    def parse(cls, text: str) -> "RejectionLimit":
        """Read "12" or "5%".

        Raises:
            InputError: the text is neither.
        """
        is_share = text.endswith("%")
        try:
            number = float(text.removesuffix("%")) / 100 if is_share else float(int(text))
        except ValueError:
            number = math.nan
        if not 0 <= number <= (1 if is_share else math.inf):
            raise InputError(f"--max-rejected {text} must be a number of files or a percentage; use 10 or 5%")
        return cls(text, number, is_share)

    def allows(self, rejected: int, files: int) -> bool:
        """Whether so many of so many may be left out."""
        return rejected <= (self.number * files if self.is_share else self.number)


STRICT = RejectionLimit("0", 0, is_share=False, at_once=True)
"""No file may be left out."""


class Rejections:
    """What a packing left out so far."""

    def __init__(self, storage: Storage, limit: RejectionLimit | None) -> None:
        self.files: dict[str, Rejection] = {}
        self._storage, self._limit = storage, limit
        self._readable: dict[str, FileRef] = {}
        """By folder: a file that was read."""

    def saw(self, pair: Pair) -> None:
        """Remember that the files of a pair could be read."""
        self._readable.update({ref.root: ref for ref in (*pair.images, pair.mask)})

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Leave files out.

        Raises:
            InputError: none may be.
            StorageError: a file that was read before is now refused, too.
        """
        for rejection in rejections:
            if rejection.unread is not None and rejection.unread.root in self._readable:
                _require_readable(self._readable[rejection.unread.root], rejection)
            if self._limit is not None and self._limit.at_once:
                raise InputError(f"{rejection.file}: {rejection.reason} (--strict)")
            self.files[rejection.file] = rejection

    def require_readable_folders(self) -> None:
        """Raises StorageError if a folder has files that are refused and none that was read."""
        for rejection in self.files.values():
            if rejection.unread is not None and rejection.unread.root not in self._readable:
                raise StorageError(
                    f"no file of {rejection.unread.root} could be read, the first being {rejection.file}: "
                    f"{rejection.reason}"
                )

    def require_rows(self, rows: int) -> None:
        """Raises InputError if there is nothing to pack."""
        if not rows:
            raise self.refusal(f"no image and mask pair can be packed, {len(self.files)} files were rejected")

    def require_few(self, files: int) -> None:
        """Raises InputError if more of so many files are left out than the limit allows."""
        if self._limit is not None and not self._limit.allows(len(self.files), files):
            raise self.refusal(
                f"{len(self.files)} of {files} files cannot be packed, more than --max-rejected "
                f"{self._limit.text}; correct them or allow more"
            )

    def write(self) -> None:
        """Write rejected.jsonl, or delete that of an earlier packing."""
        lines = [
            json.dumps({"file": r.file, "reason": r.reason}, ensure_ascii=False) for r in self.files.values()
        ]
        if lines:
            self._storage.write(REJECTED, "".join(line + "\n" for line in lines).encode())
        else:
            self._storage.delete(REJECTED)

    def refusal(self, rule: str) -> InputError:
        """An error that shows the first reasons; all are in rejected.jsonl."""
        self.write()
        reasons = [f"{rejection.file}: {rejection.reason}" for rejection in self.files.values()]
        shown = "; ".join(reasons[:_SHOWN]) + (" ..." if len(reasons) > _SHOWN else "")
        return InputError(f"{rule}: {shown}")


def _require_readable(known: FileRef, refused: Rejection) -> None:
    try:
        read_file(known, limit_bytes=1)
    except UnreadFileError as error:
        raise StorageError(
            f"{refused.file}: {refused.reason}. So is {location(known)}, which was read before: the storage "
            "or its permissions changed; pack again once both can be read"
        ) from error
