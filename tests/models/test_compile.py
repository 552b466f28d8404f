"""Tracing needs a process of its own: the type checks of the test suite are not traceable."""

import subprocess
import sys

import pytest

_SET_UP = """
import torch
from unetpp.models import UNetPlusPlus

torch.manual_seed(0)
model = UNetPlusPlus(2, 2, depth=2, width=2, upsample=UPSAMPLE, attention=True, image_classes=2).eval()
"""

_COMPILE = """
compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=False)
for size in ((16, 16), (17, 16)):
    images = torch.randn(2, 2, *size)
    output = compiled(images)
    for got, expected in zip(output.levels, model(images).levels, strict=True):
        torch.testing.assert_close(got, expected)
    sum(level.sum() for level in output.levels).backward()
"""

_EXPORT = """
dynamic = torch.export.Dim.DYNAMIC
example = torch.randn(2, 2, 16, 24)
sizes = ({0: dynamic, 2: dynamic, 3: dynamic},)
program = torch.export.export(model, (example,), dynamic_shapes=sizes).module()
for shape in ((1, 2, 16, 16), (3, 2, 41, 50), (1, 2, 8, 19), (1, 2, 3, 1)):
    images = torch.randn(shape)
    for got, expected in zip(program(images).levels, model(images).levels, strict=True):
        torch.testing.assert_close(got, expected)
"""


def _run(program: str, upsample: str) -> None:
    script = f"UPSAMPLE = {upsample!r}\n{_SET_UP}{program}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_compile_whole_graph_equals_eager():
    _run(_COMPILE, "bilinear")


@pytest.mark.slow
@pytest.mark.parametrize(
    "upsample",
    ["bilinear", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("deconv", "pixelshuffle"))],
)
def test_export_once_takes_every_size(upsample):
    _run(_EXPORT, upsample)
