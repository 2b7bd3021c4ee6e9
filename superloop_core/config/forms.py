"""Every form in which a loop can be configured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superloop_core.config.files import load_dict
from superloop_core.config.original import is_original, read_original
from superloop_core.config.reader import read_config, read_loop
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import ConfigError
from superloop_core.registry.registry import load_registry


def read_arguments(config: Any, arguments: Mapping[str, Any]) -> tuple[LoopConfig, bool]:
    """Read the arguments of :class:`Superloop`.

    Args:
        config: in any form, or None.
        arguments: entries of a ``loop`` table; None: the default.

    Returns:
        the config, and whether its inputs are known; they are otherwise 0 in it.

    Raises:
        ConfigError: with every problem found; or both are given, or neither.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if config is not None:
        if given:
            raise ConfigError(f"give either a config, or {', '.join(map(repr, given))}; not both")
        return read_any(config), not isinstance(config, Mapping) or config.get("inputs", 0) is not None
    if not given:
        raise ConfigError("give a config, or its entries: Superloop(cells=[...], systems=[...])")
    return read_any({"cells": [], "inputs": None} | given), "inputs" in given


def read_any(config: LoopConfig | Mapping[str, Any] | str | Path) -> LoopConfig:
    """Read a loop's config in any of the forms that :class:`Superloop` takes."""
    if isinstance(config, LoopConfig):
        return config
    registry = load_registry()
    if isinstance(config, Mapping):
        if is_original(config):
            return read_original(config, registry)[1]
        if "loop" not in config:
            return read_loop(load_dict(config), registry, from_file=False)
    data = load_dict(config)
    if "loop" in data:
        return read_loop(data["loop"], registry)  # whatever the other tables hold
    return read_config(data, registry).loop
