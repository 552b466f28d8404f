"""The draw of dilations is a pure function of seed and step, and every vector has its turn."""

from unetpp.training.loop.dilation_draw import step_dilations

VECTORS = ((1, 1, 1), (1, 2, 2), (2, 2, 4), (4, 4, 4))


def drawn(seed: int, steps: int, *, sandwich: bool = False, vectors=VECTORS):
    return [step_dilations(vectors, seed=seed, global_step=s, sandwich=sandwich) for s in range(steps)]


def test_step_dilations_same_seed_and_step_give_the_same_draw():
    assert drawn(3, 50) == drawn(3, 50)
    assert drawn(3, 50) != drawn(4, 50)


def test_step_dilations_one_a_step_reach_every_vector_about_equally():
    counts = [drawn(0, 400).count((vector,)) for vector in VECTORS]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_step_dilations_sandwich_has_smallest_largest_and_one_between():
    for smallest, middle, largest in drawn(0, 30, sandwich=True):
        assert (smallest, largest) == (VECTORS[0], VECTORS[-1])
        assert middle in VECTORS[1:-1]


def test_step_dilations_few_vectors_are_not_trained_twice():
    assert drawn(0, 3, sandwich=True, vectors=VECTORS[:1]) == [(VECTORS[0],)] * 3
    assert drawn(0, 1, sandwich=True, vectors=VECTORS[:2]) == [VECTORS[:2]]
    assert drawn(0, 2, vectors=()) == [(), ()]
