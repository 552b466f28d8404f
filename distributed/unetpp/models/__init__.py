"""The nested network UNet++, its U-Net and UNet+ variants, and how they are built, priced and applied."""

from unetpp.models.build import build_model
from unetpp.models.output import ModelOutput
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["ModelOutput", "UNetPlusPlus", "build_model"]
