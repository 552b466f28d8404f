import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.core.seeds import derive_seed, rng

PARTS = st.lists(st.integers() | st.text(), max_size=4)


def test_derive_seed_known_parts_keeps_its_value_over_releases() -> None:
    assert derive_seed("order", 7, 3) == derive_seed("order", 7, 3)
    assert derive_seed("a") == 5229458293162426637


@pytest.mark.slow
@given(PARTS, PARTS)
def test_derive_seed_different_parts_gives_different_seeds(a: list[int | str], b: list[int | str]) -> None:
    assert (derive_seed(*a) == derive_seed(*b)) == (a == b)
    assert 0 <= derive_seed(*a) < 2**63


def test_rng_same_parts_repeats_the_stream() -> None:
    assert np.array_equal(rng("x", 1).random(5), rng("x", 1).random(5))
    assert not np.array_equal(rng("x", 1).random(5), rng("x", 2).random(5))
