"""The differentiable neural computer."""

from collections.abc import Iterator

from superloop_core import SystemSpec, hookimpl
from superloop_plugin_dnc.settings import DNCConfig

__all__ = ["DNCConfig", "superloop_register"]


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the DNC's memory."""
    yield SystemSpec(
        name="dnc",
        config=DNCConfig,
        factory="superloop_plugin_dnc.dnc:DNC",
        summary="The memory of the differentiable neural computer (Graves et al., 2016)",
        example={"slots": 4, "width": 3, "read_heads": 2},
        reference="Graves et al., 2016, https://doi.org/10.1038/nature20101",
    )
