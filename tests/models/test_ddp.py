import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

_SCRIPT = Path(__file__).with_name("ddp_steps.py")
_spec = importlib.util.spec_from_file_location("ddp_steps", _SCRIPT)
ddp_steps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ddp_steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"norm": "group", "attention": True, "image_classes": 3},
        {"norm": "instance", "dense": "plus", "deep_supervision": False, "upsample": "pixelshuffle"},
        {"norm": "none", "dense": "unet", "upsample": "deconv"},
        {"encoder": "lite0", "stem_stride": 2, "image_classes": 3},
    ],
    ids=str,
)
def test_ddp_two_processes_have_the_gradients_of_one(options, tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(rank), "2", str(tmp_path), json.dumps(options)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=250)
        assert worker.returncode == 0, errors[-3000:]
    shared = torch.load(tmp_path / "gradients.pt", weights_only=True)
    alone = ddp_steps.gradients(0, 1, options)
    assert shared.keys() == alone.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(shared[name], gradient, atol=1e-6, rtol=1e-4, msg=name)
