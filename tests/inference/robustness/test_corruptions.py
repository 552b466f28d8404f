"""Corruptions: stronger with severity, within the range, and the same for an image in any order."""

import numpy as np
import pytest

from unetpp.core.seeds import rng
from unetpp.data.dataset.sample import Sample
from unetpp.inference.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from unetpp.inference.robustness.disturbance import Corrupted
from untrained_run import random_samples, write_untrained_run


def picture(channels: int = 3) -> np.ndarray:
    """Stripes and a disc in the middle of the range."""
    rows, columns = np.mgrid[:48, :64]
    values = 0.5 + 0.15 * np.sin(rows / 2.0) + 0.15 * ((rows - 24) ** 2 + (columns - 32) ** 2 < 150)
    return np.repeat(values[..., None], channels, 2)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_grows_with_severity_and_keeps_shape_and_range(name, channels):
    clean = picture(channels)
    errors = []
    for severity in SEVERITIES:
        found = corrupt(clean, name, severity, rng("test", severity))
        assert found.shape == clean.shape
        assert 0 <= found.min() <= found.max() <= 1
        errors.append(np.abs(found - clean).mean())
    assert errors[0] > 0.002
    assert errors == sorted(errors)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_of_a_volume_is_that_of_its_planes(name):
    planes = np.stack([picture(1), picture(1)[::-1]])
    found = corrupt(planes, name, 3, rng("test"))
    generator = rng("test")
    expected = [corrupt(plane, name, 3, generator) for plane in planes]
    np.testing.assert_array_equal(found, np.stack(expected))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_corrupted_samples_keep_their_type_and_do_not_depend_on_their_neighbours(make_manifest, dtype):
    manifest = make_manifest(dtype)
    samples = [
        Sample(s.sample_id, s.group, s.image.astype(dtype), s.mask, None, s.source, s.source_size_px)
        for s in random_samples("binary", [(16, 20)] * 3, seed=1)
    ]
    corrupted = Corrupted("gaussian_noise", 2, manifest)
    together, alone = corrupted(samples), corrupted(samples[2:])
    assert together[2].image.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(together[2].image, alone[0].image)
    assert not np.array_equal(together[2].image, samples[2].image)
    np.testing.assert_array_equal(together[2].mask, samples[2].mask)


@pytest.fixture
def make_manifest(tmp_path):
    """Of an untrained run, its images being of another type."""
    from unetpp.core.rundir import RunDir

    manifest = RunDir(write_untrained_run(tmp_path)).read_dataset()
    return lambda dtype: manifest.model_copy(update={"dtype": dtype})
