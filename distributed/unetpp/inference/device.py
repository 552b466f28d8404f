"""Where inference runs and at which precision."""

import torch

__all__ = ["autocast", "pick_device"]


def pick_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU; float32 on a CPU, where emulated bf16 is slower."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
