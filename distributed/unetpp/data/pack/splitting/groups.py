"""Which samples must stay together in one split.

The rule is either a CSV file with the columns `sample` and `group`, or a regular expression searched in the
sample id, whose first group (or whole match) names the group: `--group '^(patient\\d+)'`.
"""

import csv
import re
from pathlib import Path

from unetpp.core.errors import InputError

__all__ = ["EACH_ALONE", "GroupRule", "load_group_rule"]


class GroupRule:
    """Maps a sample id to its group."""

    def __init__(self, pattern: re.Pattern[str] | None, table: dict[str, str] | None) -> None:
        self._pattern = pattern
        self._table = table

    def __call__(self, sample_id: str) -> str:
        """The group of a sample.

        Raises:
            InputError: the rule says nothing about this sample.
        """
        if self._table is not None:
            if sample_id not in self._table:
                raise InputError(f"sample {sample_id!r} has no row in the --group file; add it")
            return self._table[sample_id]
        if self._pattern is None:
            return sample_id
        match = self._pattern.search(sample_id)
        if match is None:
            raise InputError(
                f"--group {self._pattern.pattern!r} does not match sample {sample_id!r}; widen it"
            )
        return match.group(1) if self._pattern.groups else match.group()


EACH_ALONE = GroupRule(None, None)
"""Every sample is its own group."""


def load_group_rule(text: str | None) -> GroupRule:
    """Parse `--group`; without it each sample is its own group.

    Raises:
        InputError: the file or the expression is malformed.
    """
    if text is None:
        return EACH_ALONE
    if text.lower().endswith(".csv"):
        return GroupRule(None, _load_table(Path(text)))
    try:
        return GroupRule(re.compile(text), None)
    except re.error as error:
        raise InputError(f"--group {text!r} is no regular expression: {error}") from error


def _load_table(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not {"sample", "group"} <= set(reader.fieldnames or ()):
                raise InputError(f"--group file {path} must have the columns sample,group")
            return {row["sample"]: row["group"] for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--group file {path} cannot be read: {error}") from error
