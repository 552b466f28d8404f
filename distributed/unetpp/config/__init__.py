"""Typed configuration: sections, files and overrides, presets, planning; no torch, no ray."""

from unetpp.config.fields import json_schema
from unetpp.config.load import config_hash, dump_yaml, flatten, given_fields, load_config, replace
from unetpp.config.planning.hardware import Hardware, Node, detect_hardware
from unetpp.config.planning.resolve import Decision, resolve
from unetpp.config.presets import PRESETS
from unetpp.config.run import RunConfig
from unetpp.config.sections.base import AUTO
from unetpp.config.sections.data import AugmentConfig, DataConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.sections.train import OptimConfig, ScaleConfig, TrainConfig
from unetpp.config.sections.tune import TuneConfig

__all__ = [
    "AUTO",
    "PRESETS",
    "AugmentConfig",
    "DataConfig",
    "Decision",
    "Hardware",
    "LossConfig",
    "ModelConfig",
    "Node",
    "OptimConfig",
    "RunConfig",
    "ScaleConfig",
    "TrainConfig",
    "TuneConfig",
    "config_hash",
    "detect_hardware",
    "dump_yaml",
    "flatten",
    "given_fields",
    "json_schema",
    "load_config",
    "replace",
    "resolve",
]
