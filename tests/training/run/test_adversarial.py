"""Adversarial training: drawn per sample, the same after a kill and on any number of ranks."""

import numpy as np
import pytest
import torch

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.config.planning.requirements import check_dataset
from unetpp.core.rundir import RunDir
from unetpp.data.stream.batch import HostBatch
from unetpp.training.loop.device_batch import attacked, to_device
from unetpp.training.loop.learner import Learner


def adversarial_config(uri, **fields):
    return tiny_config(
        uri,
        model={"dropout": 0.1, "norm": "batch"},
        adversarial={"attack": "segpgd", "steps": 2, **fields},
        train={"epochs": 2},
    )


def host_batch(count: int = 6, *, first: int = 0) -> HostBatch:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (count, 16, 16, 1)).astype(np.uint8)
    masks = generator.integers(0, 2, (count, 16, 16)).astype(np.uint8)
    return HostBatch(
        split="train",
        epoch=1,
        step=0,
        global_size=count,
        images=images[first:],
        masks=masks[first:],
        weights=np.ones(count - first, np.float32),
        positions=np.arange(first, count),
        labels=np.full(count - first, -1),
        sample_ids=tuple(map(str, range(first, count))),
    )


def attack(config, manifest, host):
    learner = Learner(config, manifest, total_steps=2, device=torch.device("cpu"))
    learner.model.train()
    batch = to_device(host, learner, augment=None, seed=0)
    changed = attacked(batch, host.epoch, host.positions, learner, config)
    assert learner.model.training
    assert all(parameter.grad is None for parameter in learner.model.parameters())
    return learner.normalise.inverse(batch.images), learner.normalise.inverse(changed.images)


def test_attacked_changes_its_share_of_the_images_within_epsilon_and_only_those(dataset):
    uri, manifest = dataset
    before, after = attack(adversarial_config(uri, epsilon=5.0), manifest, host_batch())
    changes = (after - before).abs().flatten(1).amax(1)
    assert (changes > 0).sum() in range(1, 6)
    assert changes.max() == pytest.approx(5, abs=1e-3)
    assert ((changes == 0) | (changes > 4.9)).all()
    before, after = attack(adversarial_config(uri, share=1.0), manifest, host_batch())
    assert ((after - before).abs().flatten(1).amax(1)).tolist() == pytest.approx([8.0] * 6, abs=1e-3)


def test_attacked_image_does_not_depend_on_its_batch(dataset):
    uri, manifest = dataset
    config = adversarial_config(uri, share=1.0)
    _, whole = attack(config, manifest, host_batch())
    _, part = attack(config, manifest, host_batch(first=3))
    torch.testing.assert_close(whole[3:], part, atol=1e-2, rtol=0)


@pytest.mark.slow
def test_training_under_attack_killed_and_resumed_ends_with_the_same_weights(tmp_path, dataset):
    uri, manifest = dataset
    jobs = []
    for name in ("whole", "stopped"):
        config = adversarial_config(uri).model_copy(update={"out": str(tmp_path / name)})
        jobs.append(start_run(config, manifest))
    whole, stopped = jobs
    train(whole)
    train(stopped, LocalSession(stop_after=7))
    train(stopped)
    assert final_weights(stopped) == final_weights(whole)
    plain = tiny_config(uri, model={"dropout": 0.1, "norm": "batch"}, train={"epochs": 2})
    plain_job = start_run(plain.model_copy(update={"out": str(tmp_path / "plain")}), manifest)
    train(plain_job)
    assert final_weights(plain_job) != final_weights(whole)
    losses = [[epoch["loss"] for epoch in RunDir(job.run_uri).read_metrics()] for job in (plain_job, whole)]
    assert losses[1][-1] > losses[0][-1]


def test_adversarial_training_of_float_images_asks_for_an_epsilon(dataset):
    uri, manifest = dataset
    floats = manifest.model_copy(update={"dtype": "float32"})
    (message,) = check_dataset(adversarial_config(uri), floats)
    assert message.endswith("between 0 and 230; use adversarial.epsilon=7.22")
    assert list(check_dataset(adversarial_config(uri, epsilon=1.0), floats)) == []
    assert list(check_dataset(adversarial_config(uri), manifest)) == []
