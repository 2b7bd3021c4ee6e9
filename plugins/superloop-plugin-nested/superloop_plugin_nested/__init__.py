"""Loops within loops."""

from collections.abc import Iterator

from superloop_core import CellSpec, SystemSpec, hookimpl
from superloop_plugin_nested.settings import LoopCellConfig, LoopSystemConfig

__all__ = ["LoopCellConfig", "LoopSystemConfig"]


@hookimpl
def superloop_register() -> Iterator[CellSpec | SystemSpec]:
    """Register the superloop as a cell and as a system."""
    parts = {
        "cells": [{"use": "gru", "units": 3}],
        "systems": [{"use": "register_memory", "id": "scratch", "depth": 2, "width": 2}],
    }
    yield CellSpec(
        name="superloop",
        config=LoopCellConfig,
        factory="superloop_plugin_nested.nested:loop_cell",
        summary="A whole superloop as a cell",
        example={"loop": parts},
    )
    yield SystemSpec(
        name="superloop",
        config=LoopSystemConfig,
        factory="superloop_plugin_nested.nested:LoopSystem",
        summary="A whole superloop as a system",
        example={"loop": parts | {"inputs": 2, "outputs": 2}},
    )
