import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unetpp.data.sources.boxes import tile_boxes
from unetpp.data.sources.raster import Box

side = st.integers(1, 70)


@given(side, side, st.integers(1, 40))
def test_tile_boxes_cover_every_pixel_and_stay_inside(height, width, tile_px):
    seen = np.zeros((height, width), dtype=bool)
    for box in tile_boxes(height, width, tile_px):
        assert (box.height, box.width) == (min(tile_px, height), min(tile_px, width))
        assert box.top + box.height <= height
        assert box.left + box.width <= width
        seen[box.top : box.top + box.height, box.left : box.left + box.width] = True
    assert seen.all()


def test_tile_boxes_of_a_multiple_do_not_overlap():
    assert tile_boxes(4, 8, 4) == (Box(0, 0, 4, 4), Box(0, 4, 4, 4))


def test_tile_boxes_last_box_is_shifted_inside():
    assert [box.left for box in tile_boxes(4, 10, 4)] == [0, 4, 6]
