"""Runs that see samples with rare classes more often: drawn alike by any workers and after any stop."""

from collections import Counter

import pytest

from fakes import LocalSession, final_weights, tiny_config, train, write_dataset
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import encode_shard, iter_samples, shard_info
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob

_SETTINGS = {"data": {"repeat_threshold": 0.5}, "train": {"epochs": 2}}


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Twenty samples of which the last two hold foreground."""
    folder = tmp_path_factory.mktemp("rare")
    manifest, storage = (
        write_dataset(folder, {"train": 20, "val": 4}, rows_per_shard=20),
        open_storage(str(folder)),
    )
    samples = list(iter_samples(storage, manifest, "train"))
    for sample in samples[:18]:
        sample.mask[:] = 0
    data = encode_shard(samples)
    info = shard_info("train", 0, samples, data)
    storage.write(info.name, data)
    split = manifest.splits["train"].model_copy(update={"shards": (info,)})
    manifest = manifest.model_copy(update={"splits": manifest.splits | {"train": split}})
    return str(folder), manifest


class Watched(LocalSession):
    """Notes the samples that are read."""

    def batches(self, plan, start):
        self.ids = Counter()
        for batch in super().batches(plan, start):
            if batch.split == "train":
                self.ids.update(batch.sample_ids)
            yield batch


def job_of(rare, out) -> TrainJob:
    uri, manifest = rare
    config = tiny_config(uri, **_SETTINGS).model_copy(update={"out": str(out)})
    create_run(config, [], manifest, {})
    return TrainJob(config, manifest, config.run_uri)


def test_rare_foreground_is_seen_more_often(rare, tmp_path):
    session = Watched()
    train(job_of(rare, tmp_path / "run"), session)
    factor = (0.5 / 0.1) ** 0.5
    expected = 2 * 20 * factor / (18 + 2 * factor)  # of each of the two, in two epochs
    for name in ("train-18", "train-19"):
        assert abs(session.ids[name] - expected) <= 2
    assert session.ids.total() == 40


@pytest.mark.slow
def test_stopped_and_resumed_ends_with_the_same_weights(rare, tmp_path):
    whole, parts = job_of(rare, tmp_path / "whole"), job_of(rare, tmp_path / "parts")
    train(whole)
    train(parts, LocalSession(stop_after=3))
    train(parts)
    assert final_weights(parts) == final_weights(whole)


def test_factors_are_kept_with_the_run_and_needed(rare, tmp_path):
    job = job_of(rare, tmp_path / "run")
    (factors,) = RunDir(job.run_uri).read_repeats()
    assert factors == (1.0,) * 18 + (2.2361,) * 2
    (tmp_path / "run" / "repeat_factors.json").unlink()
    with pytest.raises(FileNotFoundError):
        train(job)
