"""The differentiable neural computer, and sparse access memory."""

from collections.abc import Iterator

from superloop_core import SystemSpec, hookimpl
from superloop_plugin_dnc.settings import DNCConfig, SAMConfig

__all__ = ["DNCConfig", "SAMConfig", "superloop_register"]


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the DNC's memory, and sparse access memory."""
    yield SystemSpec(
        name="dnc",
        config=DNCConfig,
        factory="superloop_plugin_dnc.dnc:DNC",
        summary="The memory of the differentiable neural computer (Graves et al., 2016)",
        example={"slots": 4, "width": 3, "read_heads": 2},
        reference="Graves et al., 2016, https://doi.org/10.1038/nature20101",
    )
    yield SystemSpec(
        name="sam",
        config=SAMConfig,
        factory="superloop_plugin_dnc.sam:SAM",
        summary="Sparse access memory: a few of many slots are read and written (Rae et al., 2016)",
        example={"slots": 6, "width": 3, "heads": 2, "top_k": 2},
        reference="Rae et al., 2016, https://arxiv.org/abs/1610.09027",
    )
