"""Parts that hold others: loops within loops, and adaptive computation time."""

from collections.abc import Iterator
from typing import Any

from superloop_core import CellSpec, PartConfig, SystemSpec, hookimpl
from superloop_plugin_nested.settings import ActConfig, LoopCellConfig, LoopSystemConfig

__all__ = ["ActConfig", "LoopCellConfig", "LoopSystemConfig"]


@hookimpl
def superloop_part_of(part: Any, kind: str) -> PartConfig | None:
    """Take a Superloop layer as a cell or a system of another."""
    from superloop_plugin_nested.nested import part_of

    return part_of(part, kind)


@hookimpl
def superloop_register() -> Iterator[CellSpec | SystemSpec]:
    """Register the superloop as a cell and as a system, and adaptive computation time."""
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
    yield CellSpec(
        name="act",
        config=ActConfig,
        factory="superloop_plugin_nested.act:Act",
        summary="Adaptive computation time around a cell (Graves, 2016)",
        example={"cell": {"use": "gru", "units": 3}, "max_steps": 3},
        reference="Graves, 2016, https://arxiv.org/abs/1603.08983",
    )
