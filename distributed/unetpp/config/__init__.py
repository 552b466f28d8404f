"""Typed configuration: sections, files and overrides, presets, planning; no torch, no ray."""

from unetpp.config.data import AugmentConfig, DataConfig
from unetpp.config.hardware import Hardware, Node, detect_hardware
from unetpp.config.load import config_hash, dump_yaml, flatten, given_fields, load_config, replace
from unetpp.config.loss import LossConfig
from unetpp.config.model import ModelConfig
from unetpp.config.planning import Decision, resolve
from unetpp.config.presets import PRESETS
from unetpp.config.run import RunConfig
from unetpp.config.schema import json_schema
from unetpp.config.section import AUTO
from unetpp.config.train import OptimConfig, ScaleConfig, TrainConfig
from unetpp.config.tune import TuneConfig

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
