"""Nested U-Net (UNet++) image segmentation, trained and tuned on Ray.

    unetpp.pack("images", "masks", out="dataset")
    run = unetpp.train("dataset", out="runs/first", overrides={"train.epochs": 20})
    mask = unetpp.load(run.run).predict(array).mask

Each name is imported when it is first used: `import unetpp` alone takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetpp.api.callbacks import Callback
    from unetpp.api.functions import evaluate, export, load, pack, predict, train, tune
    from unetpp.api.serving import serve
    from unetpp.config import RunConfig, load_config
    from unetpp.models.unetpp import UNetPlusPlus
    from unetpp.tuning.space.space import Space

__all__ = [
    "Callback",
    "RunConfig",
    "Space",
    "UNetPlusPlus",
    "__version__",
    "evaluate",
    "export",
    "load",
    "load_config",
    "pack",
    "predict",
    "serve",
    "train",
    "tune",
]

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        ("evaluate", "export", "load", "pack", "predict", "train", "tune"), "unetpp.api.functions"
    ),
    "serve": "unetpp.api.serving",
    "Callback": "unetpp.api.callbacks",
    "RunConfig": "unetpp.config",
    "load_config": "unetpp.config",
    "UNetPlusPlus": "unetpp.models.unetpp",
    "Space": "unetpp.tuning.space.space",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unetpp' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
