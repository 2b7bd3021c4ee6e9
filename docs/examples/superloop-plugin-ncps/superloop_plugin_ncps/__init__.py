"""Closed-form continuous-time cells: read whenever plugins are listed, so it does not import ncps."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import CellSpec, hookimpl


@attrs.frozen(kw_only=True)
class CfcConfig:
    """A closed-form continuous-time cell, at one unit of time a timestep.

    Args:
        units: size of the hidden state and of the output.
        mode: how the two candidates are mixed: by a gate, by a gate of no time constant, or not at all.
        backbone_units: size of a layer of the backbone.
        backbone_layers: how many layers the backbone has.
    """

    units: int = attrs.field(validator=ge(1))
    mode: Literal["default", "no_gate", "pure"] = "default"
    backbone_units: int = attrs.field(default=32, validator=ge(1))
    backbone_layers: int = attrs.field(default=1, validator=ge(0))

    @property
    def output_size(self):
        """The hidden state."""
        return self.units


@hookimpl
def superloop_register():
    """The cell, by name; ncps is imported when a config names it."""
    yield CellSpec(
        name="cfc",
        config=CfcConfig,
        factory="superloop_plugin_ncps.cfc:cfc",
        summary="Closed-form continuous-time cell (Hasani et al., 2022)",
        example={"units": 4, "backbone_units": 8},
        reference="Hasani et al., 2022, https://arxiv.org/abs/2106.13898",
    )
