"""Deterministic, grouped, stratified train/val/test split, stable when data are added: pure functions."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unetpp.core.errors import InputError
from unetpp.core.manifest import SPLITS

__all__ = ["Member", "assign_splits", "kept_groups"]

_STRATA = 5
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Member:
    """A sample as the split sees it; `foreground` is its foreground fraction, 0 to 1."""

    group: str
    rows: int
    foreground: float


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    rows: int
    foreground: float


def kept_groups(groups: Mapping[str, str], previous: Mapping[str, str]) -> dict[str, str]:
    """The split of each group that has samples of an earlier version.

    Where they were in several, as before a --group that joins them, the group goes to train if any was there,
    else to val: what a run has been trained on never becomes its test set.

    Args:
        groups: the group of each sample.
        previous: the split of each sample of the earlier version.
    """
    found: dict[str, set[str]] = {}
    for sample, group in groups.items():
        if sample in previous:
            found.setdefault(group, set()).add(previous[sample])
    return {group: min(splits, key=SPLITS.index) for group, splits in found.items()}


def assign_splits(
    members: Sequence[Member], fractions: Mapping[str, float], kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Map each group to a split.

    Groups are ordered by foreground stratum and, inside a stratum, by the sha256 of their name; each goes to
    the split that lags its fraction most. Fractions hold to within one group, in every stratum, and the
    result depends on neither file order nor a random state.

    Args:
        members: the samples.
        fractions: of all rows, by split.
        kept: groups that stay in a split, if that is wanted at all; the others make up for them.

    Raises:
        InputError: fractions are not a distribution, or there are fewer groups than splits.
    """
    # What 1 - 0.7 - 0.3 leaves of a split is a rounding error.
    wanted = {name: fraction for name, fraction in fractions.items() if fraction > _TINY}
    if min(fractions.values()) < -_TINY or abs(sum(fractions.values()) - 1) > _TINY:
        raise InputError(
            f"val={fractions.get('val', 0):g} and test={fractions.get('test', 0):g} must be 0 or more "
            "and at most 1 together; use 0.1 and 0.1"
        )
    kept = {group: split for group, split in (kept or {}).items() if split in wanted}
    groups = _in_order(_merge(members))
    if len(groups) < len(wanted):
        raise InputError(
            f"groups={len(groups)} cannot fill the splits {', '.join(wanted)}; "
            "add data, or use --val 0 or --test 0"
        )
    assigned = _balance(groups, wanted, kept)
    return _fill_empty(assigned, list(wanted), kept)


def _merge(members: Sequence[Member]) -> list[_Group]:
    rows: dict[str, int] = {}
    foreground: dict[str, float] = {}
    for member in members:
        rows[member.group] = rows.get(member.group, 0) + member.rows
        foreground[member.group] = foreground.get(member.group, 0.0) + member.foreground * member.rows
    return [_Group(name, count, foreground[name] / count) for name, count in rows.items()]


def _in_order(groups: Sequence[_Group]) -> list[_Group]:
    ranked = sorted(groups, key=lambda g: (g.foreground, g.name))
    stratum = {group.name: rank * _STRATA // len(ranked) for rank, group in enumerate(ranked)}
    return sorted(groups, key=lambda g: (stratum[g.name], hashlib.sha256(g.name.encode()).digest()))


def _balance(
    groups: Sequence[_Group], fractions: Mapping[str, float], kept: Mapping[str, str]
) -> dict[str, str]:
    assigned = {group.name: kept[group.name] for group in groups if group.name in kept}
    held = dict.fromkeys(fractions, 0)
    for group in groups:
        if group.name in kept:
            held[kept[group.name]] += group.rows
    total = sum(held.values())
    for group in groups:
        if group.name in kept:
            continue
        total += group.rows
        split = max(fractions, key=lambda name: fractions[name] * total - held[name])
        held[split] += group.rows
        assigned[group.name] = split
    return assigned


def _fill_empty(assigned: dict[str, str], splits: Sequence[str], kept: Mapping[str, str]) -> dict[str, str]:
    """Give every wanted split a group, a new one if any: a requested fraction never yields an empty split."""
    for split in splits:
        if split in assigned.values():
            continue
        sizes = Counter(assigned.values())
        new = {group: at for group, at in assigned.items() if group not in kept and sizes[at] > 1}
        donors = new or {group: at for group, at in assigned.items() if sizes[at] > 1}
        counts = Counter(donors.values())
        largest = max(splits, key=lambda name: counts[name])
        assigned[max((group for group, at in donors.items() if at == largest), key=_digest)] = split
    return assigned


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
