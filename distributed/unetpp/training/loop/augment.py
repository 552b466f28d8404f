"""Random transforms of image and mask together, batched on the training device.

Every parameter is drawn from (seed, epoch, position of the sample in the epoch), so a sample is augmented
alike in any batch, on any worker and after a resume. Flip, rotation and zoom are one affine map and one
resampling. Volumes are flipped along every axis, and rotated and zoomed within their planes, whose voxels may
be thick. Shapes: N samples, C channels, size H W (height, width), or Z H W with planes.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unetpp.config.sections.data import AugmentConfig
from unetpp.core.manifest import IGNORE
from unetpp.core.seeds import derive_seed, rng

__all__ = ["AugmentParams", "apply_augment", "draw_params"]


@dataclass(frozen=True)
class AugmentParams:
    """One row a sample, float32 unless said otherwise."""

    matrix: NDArray[np.float32]
    """(N, 2, 3), or (N, 3, 4) for volumes: output to input coordinates x, y (, z), in the [-1, 1] convention
    of `affine_grid`."""
    contrast: NDArray[np.float32]
    """(N,) factors."""
    brightness: NDArray[np.float32]
    """(N, C) shifts in standard deviations."""
    noise_std: NDArray[np.float32]
    """(N,) in standard deviations."""
    noise_seed: NDArray[np.int64]
    """(N,) int64."""


def draw_params(
    config: AugmentConfig,
    *,
    seed: int,
    epoch: int,
    positions: NDArray[np.int64],
    channels: int,
    spatial_dims: int = 2,
) -> AugmentParams:
    """Draw the parameters of a batch; each row depends on its own position only."""
    rows = [
        _draw_one(config, rng("augment", seed, epoch, p), channels, spatial_dims) for p in positions.tolist()
    ]
    matrix, contrast, brightness, noise_std = (
        np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)
    )
    noise_seed = np.array([derive_seed("noise", seed, epoch, p) for p in positions.tolist()], dtype=np.int64)
    return AugmentParams(matrix, contrast, brightness, noise_std, noise_seed)


def apply_augment(images: Tensor, masks: Tensor, params: AugmentParams) -> tuple[Tensor, Tensor]:
    """Transform normalised float32 images (N, C, *size) and uint8 masks (N, *size).

    Images are mirrored beyond their border; the mask is IGNORE there.
    """
    device = images.device
    matrix = torch.from_numpy(params.matrix).to(device)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # Outside the image grid_sample yields 0, so shift IGNORE to 0 and back.
    shifted = masks.unsqueeze(1).to(torch.float32) - IGNORE
    shifted = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    masks = (shifted + IGNORE).squeeze(1).to(torch.uint8)

    ones = [1] * (images.ndim - 2)
    contrast = torch.from_numpy(params.contrast).to(device).view(-1, 1, *ones)
    brightness = torch.from_numpy(params.brightness).to(device).view(*params.brightness.shape, *ones)
    images = images * contrast + brightness
    if params.noise_std.any():
        std = torch.from_numpy(params.noise_std).to(device).view(-1, 1, *ones)
        images = images + std * _noise(images, params.noise_seed)
    return images, masks


def _draw_one(
    config: AugmentConfig, generator: np.random.Generator, channels: int, spatial_dims: int
) -> tuple[NDArray[np.float64], float, NDArray[np.float64], float]:
    # Every draw is made whatever the configuration, so that changing one knob leaves the others' draws alone.
    vertical = config.flip if config.flip_vertical is None else config.flip_vertical
    flip_x, flip_y, use_affine = generator.random(3) < (config.flip, vertical, config.affine)
    angle = math.radians(generator.uniform(-config.rotate_deg, config.rotate_deg))
    zoom = math.exp(generator.uniform(math.log(config.scale[0]), math.log(config.scale[1])))
    contrast = 1.0 + generator.uniform(-config.colour, config.colour)
    brightness = generator.uniform(-config.colour, config.colour, channels)
    noise_std = generator.uniform(0.0, config.noise)
    if not use_affine:
        angle, zoom = 0.0, 1.0
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    flips = np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0])
    linear = flips @ rotation
    if spatial_dims == 3:
        flip_z = generator.random() < config.flip
        linear = np.block([[linear, np.zeros((2, 1))], [np.zeros((1, 2)), -1.0 if flip_z else 1.0]])
    matrix = np.concatenate([linear, np.zeros((spatial_dims, 1))], axis=1)
    return matrix, contrast, brightness, noise_std


def _noise(images: Tensor, seeds: NDArray[np.int64]) -> Tensor:
    noise = torch.empty_like(images)
    for row, seed in zip(noise, seeds.tolist(), strict=True):
        row.normal_(generator=torch.Generator(device=images.device).manual_seed(seed))
    return noise
