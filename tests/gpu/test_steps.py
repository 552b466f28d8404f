"""Single steps on CUDA: precision, process group, batch statistics, memory and augmentation."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from fakes import SIDE_PX, tiny_config
from unetpp.config import RunConfig
from unetpp.config.planning.memory import training_need
from unetpp.config.sections.data import AugmentConfig
from unetpp.core.manifest import ChannelStats, ClassInfo, Manifest
from unetpp.training.loop.augment import apply_augment, draw_params
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import DeviceBatch, train_step
from unetpp.training.loop.update import StepResult

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
MANIFEST = Manifest(
    version="00001",
    task="binary",
    classes=(ClassInfo(name="square", colour=(255, 0, 0)),),
    ignore_index=None,
    channels=1,
    dtype="uint8",
    splits={},
    channel_stats=(ChannelStats(mean=0, std=1, p01=0, p50=0, p99=1),),
    sizes={},
    class_pixels=(1,),
    foreground_histogram=(0,) * 10,
    command="test",
    versions={},
    fingerprint="test",
)


def learner(device: torch.device, **sections: dict[str, Any]) -> Learner:
    return Learner(tiny_config("data", **sections), MANIFEST, 10, device)


def batch(device: torch.device, size: int = 4, side_px: int = SIDE_PX) -> DeviceBatch:
    """The same numbers on any device."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 2, (size, side_px, side_px), generator=generator, dtype=torch.uint8)
    images = masks.unsqueeze(1) + torch.randn((size, 1, side_px, side_px), generator=generator)
    labels = torch.full((size,), -1)
    return DeviceBatch(
        images.to(device), masks.to(device), torch.ones(size, device=device), labels.to(device), size, size
    )


def step(of: Learner, given: DeviceBatch) -> StepResult:
    return train_step(of, given, accumulate=1, clip=1.0, world_size=1, seed=(0, 0, 0))


def test_step_in_bf16_computes_in_bf16_and_keeps_float32_weights(device: torch.device) -> None:
    low, full = learner(device, train={"precision": "bf16"}), learner(CPU)
    seen: list[torch.dtype] = []
    convolution = next(module for module in low.model.modules() if isinstance(module, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    result, expected = step(low, batch(device)), step(full, batch(CPU))
    assert seen == [torch.bfloat16]
    assert {parameter.dtype for parameter in low.model.parameters()} == {torch.float32}
    assert result.finite
    assert result.loss_sum == pytest.approx(expected.loss_sum, rel=0.02)


def test_step_in_an_nccl_group_of_one_is_that_without_a_group(device: torch.device, tmp_path) -> None:
    alone = learner(device, model={"norm": "batch"}, train={"sync_bn": True})
    step(alone, batch(device))
    dist.init_process_group(
        "nccl", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1, device_id=device
    )
    try:
        grouped = learner(device, model={"norm": "batch"}, train={"sync_bn": True})
        grouped.network = torch.nn.parallel.DistributedDataParallel(grouped.model, device_ids=[device])
        step(grouped, batch(device))
        total = torch.ones(3, device=device)
        dist.all_reduce(total)
        assert total.tolist() == [1, 1, 1]
    finally:
        dist.destroy_process_group()
    for one, other in zip(alone.model.parameters(), grouped.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_synchronised_batch_norm_is_torch_s_and_leaves_out_images_that_do_not_count(
    device: torch.device,
) -> None:
    options: dict[str, Any] = {"model": {"norm": "batch"}, "train": {"sync_bn": True}}
    on_gpu, on_cpu, short = learner(device, **options), learner(CPU, **options), learner(device, **options)
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in on_gpu.model.modules())
    images = batch(device).images
    weights = torch.tensor([1.0, 1.0, 1.0, 0.0], device=device)
    for of, given, counted, uneven in (
        (on_gpu, images, weights, True),
        (short, images[:3], weights[:3], False),
        (on_cpu, batch(CPU).images, weights.cpu(), True),
    ):
        of.model.train()
        with of.counted.of(counted, uneven=uneven):
            of.network(given)
    for (name, found), (_, expected), (_, here) in zip(
        on_gpu.model.named_buffers(), short.model.named_buffers(), on_cpu.model.named_buffers(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, msg=name)
        torch.testing.assert_close(found.cpu(), here, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_step_takes_the_memory_that_was_estimated(device: torch.device, precision: str) -> None:
    size, side_px = 16, 256
    sections: dict[str, Any] = {
        "data": {"crop": side_px}, "model": {"depth": 4, "width": 16}, "train": {"precision": precision},
    }  # fmt: skip
    config: RunConfig = tiny_config("data", **sections)
    before = torch.cuda.memory_allocated(device)
    trained = learner(device, **sections)
    given = batch(device, size, side_px)
    step(trained, given)  # the optimiser's state is made in the first one
    torch.cuda.reset_peak_memory_stats(device)
    step(trained, given)
    taken = torch.cuda.max_memory_allocated(device) - before
    # The kernels' own workspace comes on top of the estimate, so that it may not lie above.
    assert 0.8 * taken <= training_need(config).total_bytes(size) <= 1.2 * taken


def test_augmentation_is_that_of_the_cpu_and_a_sample_s_noise_its_own(device: torch.device) -> None:
    still = AugmentConfig(flip=0.5, affine=1.0, noise=0.0)
    params = draw_params(still, seed=3, epoch=1, positions=np.arange(8), channels=1)
    here, there = batch(CPU, 8, 32), batch(device, 8, 32)
    images, masks = apply_augment(here.images, here.masks, params)
    on_gpu, masks_on_gpu = apply_augment(there.images, there.masks, params)
    torch.testing.assert_close(on_gpu.cpu(), images, rtol=1e-3, atol=1e-3)
    # A pixel on the border between two may fall to either side.
    assert (masks_on_gpu.cpu() != masks).float().mean() < 0.005
    noisy = AugmentConfig(flip=0.0, affine=0.0, noise=0.5)
    drawn = draw_params(noisy, seed=3, epoch=1, positions=np.arange(8), channels=1)
    last = draw_params(noisy, seed=3, epoch=1, positions=np.array([7]), channels=1)
    whole, _ = apply_augment(there.images, there.masks, drawn)
    alone, _ = apply_augment(there.images[7:], there.masks[7:], last)
    torch.testing.assert_close(whole[7:], alone)
