"""Networks that predict together: the mean of their probabilities, as MONAI and nnU-Net take it."""

from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.inference.engines.network import Network, RawPixels
from unetpp.inference.ensemble.average import average_outputs
from unetpp.models.inference import multiples_of
from unetpp.models.output import ModelOutput

__all__ = ["ensemble_of", "mean_thresholds"]


class _Members(nn.Module):
    """Raw pixels to the mean of the members' last levels; each normalises by its own data's statistics."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.models = nn.ModuleList(member.model for member in members)
        self.normalisations = nn.ModuleList(member.normalise for member in members)
        self.members, self.task = tuple(members), members[0].manifest.task
        dims = members[0].manifest.spatial_dims
        multiples = [multiples_of(member.model, dims) for member in members]
        self.size_multiples = tuple(map(max, zip(*multiples, strict=True)))

    def forward(self, images: Tensor) -> ModelOutput:
        """float32 (N, C, *size) in raw units."""
        return average_outputs((self._output(member, images) for member in self.members), self.task)

    def _output(self, member: Network, images: Tensor) -> ModelOutput:
        with member.autocast(images.device):
            output: ModelOutput = member.model(member.normalise(images))
        return ModelOutput(output.levels[-1:], output.image)


def ensemble_of(members: Sequence[Network], places: Sequence[str]) -> Network:
    """One network of several; a single one is returned as it is.

    Raises:
        InputError: they take other images or give other classes than the first.
    """
    first = members[0]
    if len(members) == 1:
        return first
    _require_alike([member.manifest for member in members], places)
    return Network(
        model=_Members(members),
        normalise=RawPixels(),
        manifest=first.manifest,
        # What the member that looks furthest takes in at once.
        window_px=tuple(map(max, zip(*(member.window_px for member in members), strict=True))),
        patch_px=tuple(map(max, zip(*(member.patch_px for member in members), strict=True))),
        levels=(max(member.level for member in members),),
        step=max(member.step for member in members),
        chosen={},
        dtype=torch.float32,
        at_once_px=min(member.at_once_px for member in members),
        symmetries=first.symmetries,
        data_uri=first.data_uri,
        thresholds=mean_thresholds(members),
    )


def mean_thresholds(members: Sequence[Network]) -> tuple[float, ...]:
    """Of what is kept with each; empty where a member has none."""
    kept = [member.thresholds for member in members]
    return tuple(fmean(each) for each in zip(*kept, strict=True)) if all(kept) else ()


def _require_alike(manifests: Sequence[Manifest], places: Sequence[str]) -> None:
    """Refuse networks whose predictions cannot be averaged.

    Means and deviations of pixels may differ, since each member normalises by its own.

    Raises:
        InputError: classes, channels or the preparation of images differ.
    """
    first = manifests[0]
    for manifest, place in zip(manifests[1:], places[1:], strict=True):
        for what, read in _COMPARED.items():
            expected, found = read(first), read(manifest)
            if found != expected:
                raise InputError(
                    f"members of an ensemble must have the same {what}: {places[0]} has {expected}, {place} "
                    f"has {found}; name models that were trained on data packed alike"
                )


_COMPARED: dict[str, Callable[[Manifest], object]] = {
    "dimensions": lambda manifest: manifest.spatial_dims,
    "task": lambda manifest: manifest.task,
    "classes": lambda manifest: [entry.name for entry in manifest.classes],
    "image labels": lambda manifest: list(manifest.image_labels),
    "channels": lambda manifest: manifest.channels,
    "dtype": lambda manifest: manifest.dtype,
    "side of resized images": lambda manifest: manifest.resized_px,
    "direction of slices": lambda manifest: manifest.slices,
    "border of objects": lambda manifest: manifest.instances and manifest.instances.border_px,
    "spacing in mm": lambda manifest: manifest.spacing_mm,
    "window of values": lambda manifest: manifest.window,
    "files a channel": lambda manifest: manifest.channel_files,
    "options of reading": lambda manifest: manifest.reading,
}
