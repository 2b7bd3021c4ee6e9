"""Every form in which a loop can be configured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superloop_core.config.files import load_dict
from superloop_core.config.original import is_original, read_original
from superloop_core.config.reader import read_config, read_loop
from superloop_core.config.schema import LoopConfig
from superloop_core.registry.registry import load_registry


def read_any(config: LoopConfig | Mapping[str, Any] | str | Path) -> LoopConfig:
    """Read a loop's config in any of the forms that :class:`Superloop` takes."""
    if isinstance(config, LoopConfig):
        return config
    registry = load_registry()
    if isinstance(config, Mapping):
        if is_original(config):
            return read_original(config, registry)[1]
        if "loop" not in config:
            return read_loop(load_dict(config), registry)
    data = load_dict(config)
    if "loop" in data:
        return read_loop(data["loop"], registry)  # whatever the other tables hold
    return read_config(data, registry).loop
