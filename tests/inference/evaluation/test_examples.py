"""The choice of examples."""

import random

from unetpp.inference.evaluation.examples import Candidate, Examples

DICE = [0.5, 0.9, 0.1, 0.95, 0.4, 0.45, 0.05]


def shown(examples):
    return [[e.scored.sample_id for e in entries] for entries in (examples.best(), examples.worst())]


def test_examples_keep_extremes_and_draw_only_what_is_kept():
    drawn: list[int] = []
    examples = Examples(keep=2)
    for index, dice in enumerate(DICE):
        candidate = Candidate(f"s{index}", dice, 1, index)
        examples.offer(candidate, lambda index=index: bytes([drawn.append(index) or index]))
    assert shown(examples) == [["s3", "s1"], ["s6", "s2"]]
    assert 5 not in drawn


def test_examples_equal_scores_prefer_foreground_then_the_first():
    examples = Examples(keep=1)
    for number, (name, foreground_px) in enumerate([("empty", 0), ("full", 50), ("too", 50), ("small", 3)]):
        examples.offer(Candidate(name, 1.0, foreground_px, number), lambda: b"")
    assert shown(examples) == [["full"], []]


def test_examples_do_not_depend_on_order_on_parts_or_on_what_is_offered_again():
    candidates = [Candidate(f"s{n}", dice, 1, n) for n, dice in enumerate(DICE)]
    whole = Examples(keep=2)
    for candidate in candidates:
        whole.offer(candidate, lambda: b"")
    for seed in range(20):
        offered = random.Random(seed).sample([*candidates, *candidates[:3]], len(candidates) + 3)
        parts = [Examples(keep=2) for _ in range(3)]
        for turn, candidate in enumerate(offered):
            parts[turn % 3].offer(candidate, lambda: b"")
        merged = Examples(keep=2)
        for part in parts:
            merged.merge(part)
        assert shown(merged) == shown(whole)
