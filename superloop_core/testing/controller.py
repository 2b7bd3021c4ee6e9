"""The cell that the kit uses with a system, so that it needs no other plugin: a light module."""

from types import ModuleType
from typing import Any

import attrs

from superloop_core import CellSpec, hookimpl
from superloop_core.registry.registry import Registry

DISTRIBUTION, NAME = "superloop-core", "controller"


@attrs.frozen(kw_only=True)
class ControllerConfig:
    """A small recurrent cell.

    Args:
        units: size of the hidden state.
    """

    units: int = 4


@hookimpl
def superloop_register() -> CellSpec:
    """The controller."""
    return CellSpec(
        name=NAME,
        config=ControllerConfig,
        factory="superloop_core.testing.controller:make",
        summary="The controller of the conformance kit",
    )


def make(settings: ControllerConfig) -> Any:
    """Return the cell."""
    import keras

    return keras.layers.SimpleRNNCell(settings.units)


def add_controller(registry: Registry) -> None:
    """Register the controller."""
    module = ModuleType(NAME)
    module.superloop_register = superloop_register  # type: ignore[attr-defined]
    if all(record.distribution != DISTRIBUTION for record in registry.records):
        registry.register(module, distribution=DISTRIBUTION, version="kit")
