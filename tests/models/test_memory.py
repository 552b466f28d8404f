"""The memory model of `config` against the tensors that torch keeps for the backward pass."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from random_examples import examples
from unetpp.config import LossConfig
from unetpp.config.encoders import deepest_encoded
from unetpp.config.planning.memory import _LOSS_BYTES, kept_bytes, recomputed_bytes, weight_count
from unetpp.config.sections.loss import PIXEL_TERMS
from unetpp.config.sections.model import ModelConfig
from unetpp.models import build_model
from unetpp.models.output import ModelOutput
from unetpp.objective import build_objective

_TO_BF16 = {F.conv2d, F.conv3d, F.conv_transpose2d, F.conv_transpose3d, torch.conv2d, torch.conv3d}
_TO_FLOAT = {F.group_norm, F.interpolate}
"""What autocast on CUDA casts, as torch's autocast_mode.h lists it: there is no CUDA in most tests."""


class _CudaAutocast(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = torch.bfloat16 if func in _TO_BF16 else torch.float32 if func in _TO_FLOAT else None
        if dtype is not None:
            # Inside an interpolation or a norm nothing is cast again.
            with torch._C.DisableTorchFunction():
                return func(*(_cast(value, dtype) for value in args), **kwargs)
        return func(*args, **kwargs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def _patch(config: ModelConfig, size_px: int) -> tuple[int, ...]:
    return (size_px,) * (config.spatial_dims or 2)


def torch_kept_bytes(config: ModelConfig, size_px: int, *, bf16: bool) -> int:
    """Counted on the meta device: no memory is allocated, nothing is computed."""
    with torch.device("meta"):
        model = build_model(config).train()
    image = torch.empty((1, int(config.in_channels), *_patch(config, size_px)), device="meta")
    weights = {parameter.shape for parameter in model.parameters()}
    owned = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {_storage(image): image}

    def pack(tensor: Tensor) -> Tensor:
        # A weight's bf16 copy has the weight's shape.
        if _storage(tensor) not in owned and not (bf16 and tensor.shape in weights):
            saved[_storage(tensor)] = tensor  # keeps it alive, so that no handle is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        if bf16:
            with _CudaAutocast():
                output = model(image)
        else:
            output = model(image)
    kept = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    del output
    return kept


def _storage(tensor: Tensor) -> int:
    handle: int = tensor.untyped_storage()._cdata
    return handle


_CONFIGS = st.builds(
    ModelConfig,
    in_channels=st.integers(1, 4),
    num_classes=st.integers(1, 5),
    depth=st.integers(1, 4),
    width=st.sampled_from([4, 8, 12, 16]),
    dilation=st.sampled_from([1, 2]),
    dense=st.sampled_from(["unet", "plus", "pp"]),
    norm=st.sampled_from(["none", "batch", "group", "instance"]),
    activation=st.sampled_from(["relu", "leaky_relu", "silu", "gelu"]),
    upsample=st.sampled_from(["bilinear", "deconv", "pixelshuffle"]),
    dropout=st.sampled_from([0.0, 0.5]),
    attention=st.booleans(),
    deep_supervision=st.booleans(),
    image_classes=st.sampled_from([0, 2]),
)


@pytest.mark.slow
@settings(max_examples=examples(20))
@given(config=_CONFIGS, size_px=st.sampled_from([32, 48, 64]), bf16=st.booleans())
def test_kept_bytes_are_what_torch_keeps(config: ModelConfig, size_px: int, bf16: bool) -> None:
    real = torch_kept_bytes(config, size_px, bf16=bf16)
    assert kept_bytes(config, _patch(config, size_px), bf16=bf16) == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize("pool", [None, ((1, 2, 2), (2, 2, 2))])
def test_kept_bytes_of_three_dimensions_are_what_torch_keeps(pool: Any) -> None:
    config = ModelConfig(
        in_channels=1, num_classes=1, depth=2, width=4, image_classes=0, spatial_dims=3, pool=pool
    )
    assert kept_bytes(config, _patch(config, 16), bf16=False) == pytest.approx(
        torch_kept_bytes(config, 16, bf16=False), rel=0.05
    )


@st.composite
def _encoded(draw: st.DrawFn) -> ModelConfig:
    stride = draw(st.sampled_from([1, 2, 4]))
    config = draw(_CONFIGS)
    changes = {
        "stem_stride": stride,
        "encoder": draw(st.sampled_from(["none", "lite0", "lite2"])),
        "depth": draw(st.integers(1, deepest_encoded(stride))),
    }
    return config.model_copy(update=changes)


@pytest.mark.slow
@settings(max_examples=examples(8))
@given(config=_encoded(), size_px=st.sampled_from([128, 160, 200]), bf16=st.booleans())
def test_kept_bytes_with_an_encoder_are_what_torch_keeps(
    config: ModelConfig, size_px: int, bf16: bool
) -> None:
    real = torch_kept_bytes(config, size_px, bf16=bf16)
    assert kept_bytes(config, _patch(config, size_px), bf16=bf16) == pytest.approx(real, rel=0.08)


@pytest.mark.slow
@settings(max_examples=examples(8))
@given(config=_encoded())
def test_weight_count_with_an_encoder_is_the_network_s(config: ModelConfig) -> None:
    with torch.device("meta"):
        model = build_model(config)
    assert weight_count(config) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.slow
@settings(max_examples=examples(20))
@given(config=_CONFIGS, dims=st.sampled_from([2, 3]))
def test_weight_count_is_the_network_s(config: ModelConfig, dims: int) -> None:
    config = config.model_copy(update={"spatial_dims": dims})
    with torch.device("meta"):
        model = build_model(config)
    assert weight_count(config) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("task", "classes"), [("binary", 1), ("multilabel", 3), ("multiclass", 5)])
@pytest.mark.parametrize(
    "terms", [*((name,) for name in PIXEL_TERMS), ("ce", "dice"), ("ce", "distill")], ids="+".join
)
def test_loss_keeps_no_more_than_is_counted(task: Any, classes: int, terms: tuple[str, ...]) -> None:
    weights = {name: float(name in terms) for name in _LOSS_BYTES}
    objective = build_objective(LossConfig(**weights), task, [1, 2])
    logits = tuple(torch.randn(1, classes, 16, 16, requires_grad=True) for _ in range(2))
    mask = torch.randint(0, max(2, classes), (1, 16, 16), dtype=torch.uint8)
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[_storage(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = objective(ModelOutput(logits, None), mask, None)
    kept = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    assert losses.shape == (1,)
    assert kept <= 1.01 * sum(_LOSS_BYTES[name] for name in terms) * sum(t.numel() for t in logits)


@pytest.mark.parametrize("options", [{}, {"attention": True, "dropout": 0.3}, {"norm": "instance"}], ids=str)
def test_recomputing_gives_the_same_gradients_to_the_bit(options: Any) -> None:
    config = ModelConfig(
        in_channels=2, num_classes=1, depth=2, width=4, image_classes=0, spatial_dims=2, **options
    )
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = build_model(config).train()
        model.recompute = recompute
        torch.manual_seed(1)
        sum(level.square().sum() for level in model(torch.ones(2, 2, 16, 16)).levels).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for kept, again in zip(*gradients, strict=True):
        assert torch.equal(kept, again)


@settings(max_examples=examples(10))
@given(config=_CONFIGS, bf16=st.booleans())
def test_recomputing_needs_less(config: ModelConfig, bf16: bool) -> None:
    config = config.model_copy(update={"dense": "pp", "depth": 4})
    patch_px = _patch(config, 64)
    assert recomputed_bytes(config, patch_px, bf16=bf16) < 0.6 * kept_bytes(config, patch_px, bf16=bf16)
