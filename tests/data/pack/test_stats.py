import numpy as np
import pytest

from unetpp.data.pack.stats import PixelStats


def stats_of(images: list[np.ndarray], dtype: str, masks: list[np.ndarray] | None = None) -> PixelStats:
    stats = PixelStats.empty(images[0].shape[2], dtype, 1)
    for index, image in enumerate(images):
        mask = masks[index] if masks else np.zeros(image.shape[:2], np.uint8)
        stats.add(image, mask, "binary")
    return stats


def images_of(dtype: str) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    scale = {"uint8": 255, "uint16": 60_000, "float32": -3.5}[dtype]
    return [(random.random((h, 31, 2)) ** 2 * scale).astype(dtype) for h in (17, 40, 900)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_channel_stats_equal_numpy_over_all_pixels(dtype):
    images = images_of(dtype)
    everything = np.concatenate([image.reshape(-1, 2) for image in images]).astype(np.float64)
    for channel, stats in enumerate(stats_of(images, dtype).channel_stats()):
        values = everything[:, channel]
        assert stats.mean == pytest.approx(values.mean(), rel=1e-9)
        assert stats.std == pytest.approx(values.std(), rel=1e-9)
        for got, percent in ((stats.p01, 1), (stats.p50, 50), (stats.p99, 99)):
            assert got == pytest.approx(
                np.percentile(values, percent), rel=0.01, abs=1e-3 if dtype != "uint8" else 1
            )


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_merge_of_parts_equals_the_whole(dtype):
    images = images_of(dtype)
    whole, part = stats_of(images, dtype), stats_of(images[:1], dtype)
    part.merge(stats_of(images[1:], dtype))
    part.merge(PixelStats.empty(2, dtype, 1))
    np.testing.assert_array_equal(whole.histograms, part.histograms)
    for one, other in zip(whole.channel_stats(), part.channel_stats(), strict=True):
        assert one.mean == pytest.approx(other.mean, rel=1e-12)
        assert one.std == pytest.approx(other.std, rel=1e-12)


def test_float_percentiles_cross_zero_in_order():
    image = np.linspace(-2, 2, 4001, dtype=np.float32).reshape(1, -1, 1)
    stats = stats_of([image], "float32").channel_stats()[0]
    assert stats.p01 == pytest.approx(-1.96, rel=0.01)
    assert stats.p50 == pytest.approx(0, abs=0.01)
    assert stats.p99 == pytest.approx(1.96, rel=0.01)


def test_class_pixels_per_task_leave_ignored_pixels_out():
    mask = np.array([[0, 1, 2, 3, 255]], dtype=np.uint8)
    image = np.zeros((1, 5, 1), dtype=np.uint8)
    found = {}
    for task, count in (("binary", 1), ("multiclass", 4), ("multilabel", 2)):
        stats = PixelStats.empty(1, "uint8", count)
        stats.add(image, mask, task)
        found[task] = stats.class_pixels.tolist()
    assert found == {"binary": [1], "multiclass": [1, 1, 1, 1], "multilabel": [2, 2]}


@pytest.mark.parametrize(("foreground", "decile"), [(0, 0), (1, 1), (9, 9), (10, 9)])
def test_foreground_histogram_counts_the_decile(foreground, decile):
    mask = np.array([[1] * foreground + [0] * (10 - foreground) + [255] * 10], dtype=np.uint8)
    stats = stats_of([np.zeros((1, 20, 1), np.uint8)], "uint8", [mask])
    assert stats.foreground_histogram.nonzero()[0].tolist() == [decile]
