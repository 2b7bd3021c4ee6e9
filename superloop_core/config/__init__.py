"""Configs: their schema, and how they are read."""

from superloop_core.config.files import apply_overrides, load_dict
from superloop_core.config.reader import read_config, read_loop, read_table
from superloop_core.config.schema import (
    RESERVED_IDS,
    CellConfig,
    Config,
    Fact,
    KerasObject,
    LoopConfig,
    PartConfig,
    SystemConfig,
    WeightsConfig,
)

__all__ = [
    "RESERVED_IDS", "CellConfig", "Config", "Fact", "KerasObject", "LoopConfig", "PartConfig", "SystemConfig",
    "WeightsConfig",
    "apply_overrides", "load_dict", "read_config", "read_loop", "read_table",
]  # fmt: skip
