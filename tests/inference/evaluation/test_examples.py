"""The choice of examples."""

from unetpp.inference.evaluation.examples import Examples


def test_examples_keep_extremes_and_draw_only_what_is_kept():
    drawn: list[int] = []
    examples = Examples(keep=2)
    for index, dice in enumerate([0.5, 0.9, 0.1, 0.95, 0.4, 0.45, 0.05]):
        examples.offer(f"s{index}", dice, 1, lambda index=index: bytes([drawn.append(index) or index]))
    assert [e.dice for e in examples.best()] == [0.95, 0.9]
    assert [e.dice for e in examples.worst()] == [0.05, 0.1]
    assert 5 not in drawn


def test_examples_equal_scores_prefer_foreground():
    examples = Examples(keep=1)
    for name, foreground_px in (("empty", 0), ("full", 50), ("small", 3)):
        examples.offer(name, 1.0, foreground_px, lambda: b"")
    assert [e.sample_id for e in examples.best()] == ["full"]
