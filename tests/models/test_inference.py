import pytest
import torch
from torch import Tensor, nn

from unetpp.models.inference import predict_logits
from unetpp.models.output import ModelOutput


class Pointwise(nn.Module):
    """Looks at single pixels only, so that windows must give exactly the whole image's logits."""

    def __init__(self, with_image: bool = False) -> None:
        super().__init__()
        self.with_image = with_image
        self.batches: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> ModelOutput:
        self.batches.append(tuple(images.shape))
        image = images.flatten(2).amax(-1) if self.with_image else None
        return ModelOutput((images * 2, images[:, :1] - 1), image)


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (10, 70), (16, 16, 40)])
def test_predict_logits_windows_cover_every_pixel(size):
    images = torch.randn(3, 2, *size)
    model = Pointwise()
    levels = predict_logits(model, images, window_px=32).levels
    assert sum(batch[0] for batch in model.batches) > 3
    assert all(max(batch[2:]) <= 32 for batch in model.batches)
    torch.testing.assert_close(levels[0], images * 2)
    torch.testing.assert_close(levels[1], images[:, :1] - 1)


@pytest.mark.parametrize("window_px", [48, 64])
def test_predict_logits_fitting_image_is_one_pass(window_px):
    model = Pointwise()
    images = torch.randn(2, 1, 48, 20)
    output = predict_logits(model, images, window_px=window_px)
    assert model.batches == [(2, 1, 48, 20)]
    assert torch.equal(output.levels[0], images * 2)


def test_predict_logits_single_level_network_returns_one_level(tiny):
    model = tiny(deep_supervision=False).eval()
    with torch.no_grad():
        output = predict_logits(model, torch.randn(1, 2, 40, 24), window_px=24)
    assert [level.shape for level in output.levels] == [(1, 2, 40, 24)]


def test_predict_logits_image_logits_are_means_over_each_images_windows():
    images = torch.zeros(2, 1, 32, 80)
    images[0], images[1, ..., :16] = 1.0, 4.0
    output = predict_logits(Pointwise(with_image=True), images, window_px=32)
    # Of three windows of the second image, one contains the bright columns.
    torch.testing.assert_close(output.image, torch.tensor([[1.0], [4 / 3]]))


def test_predict_logits_half_precision_network_blends_in_float32(tiny):
    model = tiny().eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = predict_logits(model, torch.randn(1, 2, 40, 40), window_px=24)
    assert {level.dtype for level in output.levels} == {torch.float32}
