"""Objects from the probabilities of networks that know borders, and of those that do not."""

from types import SimpleNamespace

import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.manifest import ClassInfo, Instances
from unetpp.data.annotations.polygons import fill_polygons
from unetpp.data.pack.masks.instances import border_of
from unetpp.data.sources.raster import Space
from unetpp.inference.objects.find import find_objects, object_classes
from unetpp.inference.objects.outlines import outlines_of
from unetpp.inference.objects.table import objects_csv
from unetpp.objective.instances import InstanceMetrics


def manifest(task, *names, border=False):
    classes = tuple(ClassInfo(name=name, colour=(0, 0, 0)) for name in names)
    instances = Instances(kind="border", border_px=2) if border else None
    return SimpleNamespace(task=task, classes=classes, instances=instances)


BORDERS = manifest("multiclass", "background", "cell", "debris", "border", border=True)


def touching_discs(radius=9, step=15, size=(60, 80)):
    """Ids of discs that touch their neighbours."""
    y, x = np.mgrid[: size[0], : size[1]]
    ids, nearest = np.zeros(size, np.int32), np.full(size, np.inf)
    number = 0
    for top in range(10, size[0] - 5, step):
        for left in range(10, size[1] - 5, step):
            number += 1
            distance = np.hypot(y - top, x - left)
            take = (distance < radius) & (distance < nearest)
            ids[take], nearest[take] = number, distance[take]
    return ids


def probabilities(classes, mask, sure=0.9):
    found = np.full((classes, *mask.shape), (1 - sure) / (classes - 1), np.float32)
    np.put_along_axis(found, mask[None].astype(int), sure, axis=0)
    return found


def test_touching_objects_come_back_with_every_pixel():
    ids = touching_discs()
    mask = np.where(border_of(ids, 2), 3, np.where(ids > 4, 2, ids > 0))
    found = find_objects(probabilities(4, mask), BORDERS)
    scores = InstanceMetrics()
    scores.update(ids, found.ids)
    assert scores.compute()["f1"]["0.9"] == 1.0
    np.testing.assert_array_equal(found.ids > 0, ids > 0)
    by_truth = {int(ids[found.ids == k][0]): found.classes[k - 1] for k in range(1, len(found.classes) + 1)}
    assert all(kind == (2 if number > 4 else 1) for number, kind in by_truth.items())
    assert found.scores == pytest.approx([1 - 0.1 / 3] * len(found.scores))


def test_plain_connection_joins_what_touches():
    ids = touching_discs()
    found = find_objects(np.where(ids > 0, 0.8, 0.1).astype(np.float32)[None], manifest("binary", "cell"))
    assert len(found.classes) < ids.max()
    assert set(found.classes) == {0}


def test_objects_are_numbered_from_one_in_reading_order_without_gaps():
    found = find_objects(
        probabilities(4, np.where(border_of(touching_discs(), 2), 3, touching_discs() > 0)), BORDERS
    )
    firsts = [int(np.flatnonzero(found.ids == k)[0]) for k in range(1, found.ids.max() + 1)]
    assert firsts == sorted(firsts)


def test_foreground_without_a_certain_inside_is_an_object_too():
    mask = np.zeros((10, 12), int)
    mask[2:4, 2:4] = 3
    found = find_objects(probabilities(4, mask), BORDERS)
    assert (found.ids > 0).sum() == 4
    assert len(found.classes) == 1


def test_classes_of_a_multiclass_network_are_objects_of_their_own():
    mask = np.zeros((10, 12), int)
    mask[2:6, 2:5], mask[2:6, 5:9] = 1, 2
    found = find_objects(probabilities(3, mask), manifest("multiclass", "background", "a", "b"))
    assert found.classes == (1, 2)


def test_nothing_found_is_no_object():
    for one in (BORDERS, manifest("multiclass", "background", "a", "b", "c")):
        assert find_objects(probabilities(4, np.zeros((5, 6), int)), one).classes == ()


def test_labels_that_overlap_have_no_objects():
    with pytest.raises(InputError, match="may overlap"):
        object_classes(manifest("multilabel", "a", "b"))


def test_table_measures_in_pixels_and_in_the_unit_of_the_image():
    mask = np.zeros((10, 12), int)
    mask[2:5, 3:7] = 1
    found = find_objects(probabilities(4, mask), BORDERS)
    plain = objects_csv(found, BORDERS, Space()).decode().splitlines()
    assert plain == [
        "id,class,score,area_px,centroid_y_px,centroid_x_px,top_px,left_px,height_px,width_px",
        "1,cell,0.9667,12,3.50,5.00,2,3,3,4",
    ]
    sized = objects_csv(found, BORDERS, Space(spacing=(0.5, 0.25), unit="um")).decode().splitlines()
    assert sized[0].endswith("area_um2,centroid_y_um,centroid_x_um")
    assert sized[1].endswith(",1.5,1.75,1.25")


@pytest.mark.parametrize("seed", range(20))
def test_outlines_enclose_exactly_the_region(seed):
    region = np.random.default_rng(seed).random((9, 11)) < 0.4 + 0.02 * seed
    outlines = outlines_of(region)
    np.testing.assert_array_equal(fill_polygons(outlines, 9, 11), region)
