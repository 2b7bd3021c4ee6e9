"""Loops within loops."""

from collections.abc import Mapping

import attrs

from superloop_core import CellSpec, LoopConfig, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class LoopCellConfig:
    """A loop in the place of a cell.

    Args:
        loop: what it is made of; it takes as many numbers as come from below.
    """

    loop: LoopConfig

    @property
    def sources(self) -> Mapping[str, tuple[int | None, ...]]:
        """What its systems read."""
        return self.loop.sources


@attrs.frozen(kw_only=True)
class LoopSystemConfig:
    """A loop in the place of a system.

    Args:
        loop: what it is made of; ``inputs`` and ``outputs`` are set.
    """

    loop: LoopConfig

    @property
    def control_size(self) -> int:
        """Its inputs."""
        return self.loop.inputs

    @property
    def output_size(self) -> int:
        """Its outputs."""
        return self.loop.outputs

    @property
    def sources(self) -> Mapping[str, tuple[int | None, ...]]:
        """What its own systems read."""
        return self.loop.sources


@hookimpl
def superloop_register():
    """The superloop as a cell and as a system."""
    parts = {
        "cells": [{"use": "gru", "units": 3}],
        "systems": [{"use": "register_memory", "id": "scratch", "depth": 2, "width": 2}],
    }
    yield CellSpec(
        name="superloop",
        config=LoopCellConfig,
        factory="superloop_plugin_nested.nested:loop_cell",
        summary="A whole superloop in the place of a cell",
        example={"loop": parts},
    )
    yield SystemSpec(
        name="superloop",
        config=LoopSystemConfig,
        factory="superloop_plugin_nested.nested:LoopSystem",
        summary="A whole superloop in the place of a system",
        example={"loop": parts | {"inputs": 2, "outputs": 2}},
    )
