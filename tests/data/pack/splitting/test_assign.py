from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.core.errors import InputError
from unetpp.data.pack.splitting.assign import Member, assign_splits, kept_groups

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}


def members(count: int) -> list[Member]:
    return [Member(f"g{i}", 1, (i % 10) / 10) for i in range(count)]


def rows_per_split(of: list[Member], splits: dict[str, str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for member in of:
        counts[splits[member.group]] += member.rows
    return counts


@given(st.integers(30, 300), st.floats(0.05, 0.3), st.floats(0.05, 0.3))
def test_assign_splits_holds_fractions_to_within_a_row(count, val, test):
    splits = assign_splits(members(count), {"train": 1 - val - test, "val": val, "test": test})
    counts = rows_per_split(members(count), splits)
    assert abs(counts["val"] - val * count) <= 1
    assert abs(counts["test"] - test * count) <= 1


@given(st.permutations(members(25)))
def test_assign_splits_does_not_depend_on_the_order(shuffled):
    assert assign_splits(shuffled, FRACTIONS) == assign_splits(members(25), FRACTIONS)


def test_assign_splits_gives_each_split_the_same_foreground():
    of = members(400)
    splits = assign_splits(of, FRACTIONS)
    means = {
        split: sum(m.foreground for m in of if splits[m.group] == split) / rows_per_split(of, splits)[split]
        for split in FRACTIONS
    }
    assert max(means.values()) - min(means.values()) < 0.05


def test_assign_splits_keeps_groups_together_and_near_the_fractions():
    of = [Member(f"patient{i // 7}", 1 + i % 3, 0.2) for i in range(700)]
    counts = rows_per_split(of, assign_splits(of, FRACTIONS))
    total = sum(counts.values())
    assert counts["val"] / total == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_assign_splits_of_few_groups_leaves_no_split_empty(count):
    assert set(assign_splits(members(count), FRACTIONS).values()) == set(FRACTIONS)


def test_assign_splits_of_too_few_groups_raises():
    with pytest.raises(InputError, match=r"groups=2.*--val 0"):
        assign_splits(members(2), FRACTIONS)


def test_assign_splits_without_val_and_test_is_all_train():
    assert set(assign_splits(members(1), {"train": 1.0, "val": 0.0, "test": 0.0}).values()) == {"train"}


@pytest.mark.parametrize(
    ("val", "test", "filled"), [(0.7, 0.3, {"val", "test"}), (0.0, 1.0, {"test"}), (1.0, 0.0, {"val"})]
)
def test_assign_splits_that_leave_nothing_for_train_fill_the_others_alone(val, test, filled):
    splits = assign_splits(members(10), {"train": 1 - val - test, "val": val, "test": test})
    assert set(splits.values()) == filled


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.6, 0.5), (1.2, 0.0)])
def test_assign_splits_with_impossible_fractions_raises(val, test):
    with pytest.raises(InputError, match="at most 1 together"):
        assign_splits(members(20), {"train": 1 - val - test, "val": val, "test": test})


@given(st.integers(3, 60), st.integers(0, 60), st.data())
def test_assign_splits_after_an_addition_leaves_every_group_where_it_was(count, added, data):
    of = data.draw(st.permutations(members(count + added)))
    before = assign_splits(of[:count], FRACTIONS)
    after = assign_splits(of, FRACTIONS, before)
    assert {group: after[group] for group in before} == before
    counts = rows_per_split(of, after)
    for split, fraction in FRACTIONS.items():
        # No addition makes a split miss its fraction by more than it did, or by more than a row.
        off = abs(rows_per_split(of[:count], before)[split] - fraction * count)
        assert abs(counts[split] - fraction * len(of)) <= max(off, 1) + 1


@given(st.integers(20, 60), st.lists(st.integers(1, 15), max_size=6))
def test_assign_splits_of_many_additions_in_turn_stays_near_the_fractions(count, additions):
    of, splits = members(500), {}
    for step in [0, *additions]:
        count += step
        splits = assign_splits(of[:count], FRACTIONS, splits)
    counts = rows_per_split(of[:count], splits)
    assert all(abs(counts[split] - fraction * count) <= 2 for split, fraction in FRACTIONS.items())


def test_assign_splits_makes_up_for_a_split_that_lost_its_groups():
    before = {f"g{i}": "train" for i in range(8)}
    after = assign_splits(members(12), FRACTIONS, before)
    assert {after[f"g{i}"] for i in range(8)} == {"train"}
    assert set(after.values()) == set(FRACTIONS)


def test_assign_splits_fills_an_empty_split_with_a_new_group_first():
    before = {"g0": "train", "g1": "train", "g2": "val"}
    after = assign_splits(members(4), {"train": 0.98, "val": 0.01, "test": 0.01}, before)
    assert after == before | {"g3": "test"}


def test_assign_splits_keeps_nothing_in_a_split_that_is_not_wanted():
    before = dict.fromkeys(("g0", "g1"), "test") | {"g2": "train"}
    after = assign_splits(members(3), {"train": 0.5, "val": 0.5, "test": 0}, before)
    assert set(after.values()) == {"train", "val"}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(sorted(FRACTIONS))))
def test_kept_groups_never_take_what_was_trained_on_out_of_train(previous):
    groups = dict(zip("abcdefgh", ["x", "x", "y", "y", "y", "z", "z", "w"], strict=True))
    kept = kept_groups(groups, previous)
    for sample, split in previous.items():
        if split == "train":
            assert kept[groups[sample]] == "train"
        if split == "val":
            assert kept[groups[sample]] != "test"
    assert kept.keys() == {groups[sample] for sample in previous}
