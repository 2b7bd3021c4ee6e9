"""Configs: their schema, and how they are read."""

from superloop_core.config.reader import Plugin, Plugins, read_config, read_loop
from superloop_core.config.schema import (
    RESERVED_IDS,
    CellConfig,
    Config,
    LoopConfig,
    PartConfig,
    SystemConfig,
)

__all__ = [
    "RESERVED_IDS", "CellConfig", "Config", "LoopConfig", "PartConfig", "Plugin", "Plugins", "SystemConfig",
    "read_config", "read_loop",
]  # fmt: skip
