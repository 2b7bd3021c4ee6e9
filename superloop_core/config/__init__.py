"""Configs: their schema, and how they are read."""

from superloop_core.config.files import load_dict
from superloop_core.config.reader import read_config, read_loop
from superloop_core.config.schema import (
    RESERVED_IDS,
    CellConfig,
    Config,
    LoopConfig,
    PartConfig,
    SystemConfig,
)

__all__ = [
    "RESERVED_IDS", "CellConfig", "Config", "LoopConfig", "PartConfig", "SystemConfig",
    "load_dict", "read_config", "read_loop",
]  # fmt: skip
