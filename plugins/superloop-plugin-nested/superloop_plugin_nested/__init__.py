"""Loops within loops."""

from collections.abc import Iterator
from typing import Any

from superloop_core import CellSpec, PartConfig, SystemSpec, hookimpl
from superloop_plugin_nested.settings import LoopCellConfig, LoopSystemConfig

__all__ = ["LoopCellConfig", "LoopSystemConfig"]


@hookimpl
def superloop_part_of(part: Any, kind: str) -> PartConfig | None:
    """Take a Superloop layer as a cell or a system of another."""
    from superloop_plugin_nested.nested import part_of

    return part_of(part, kind)


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
