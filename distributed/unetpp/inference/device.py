"""Where inference runs."""

import torch

__all__ = ["pick_device"]


def pick_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
