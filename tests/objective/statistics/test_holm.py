import pytest

from unetpp.objective.statistics.holm import holm
from unetpp.objective.statistics.paired import Comparison, corrected


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_corrected_comparisons_are_distinguishable_by_their_corrected_p():
    pair = [Comparison(9, 0.1, 0.0, 0.2, p, p) for p in (0.03, 0.04)]
    assert [each.distinguishable for each in pair] == [True, True]
    assert [each.distinguishable for each in corrected(pair)] == [False, False]
