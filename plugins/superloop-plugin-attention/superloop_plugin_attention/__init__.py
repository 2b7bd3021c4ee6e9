"""Attention over a data tape."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class AttentionConfig:
    """Attention that walks a tape of datapoints.

    Args:
        width: size of a datapoint.
        datapoints: length of the tape; 0: as many as the data has.
        kernel: what a datapoint at distance d weighs: ``inverse_square`` 1 / (1 + d^2), or
            ``inverse_distance`` 1 / (1 + |d|).
        normalize: divide the weights by their sum.
        read_position: give the position as a further output.
        bounded: keep the position within the data, from 0 to datapoints - 1.
    """

    width: int = attrs.field(validator=ge(1))
    datapoints: int = attrs.field(default=0, validator=ge(0))
    kernel: Literal["inverse_square", "inverse_distance"] = "inverse_square"
    normalize: bool = False
    read_position: bool = False
    bounded: bool = False

    @property
    def control_size(self) -> int:
        """One number: how far to move."""
        return 1

    @property
    def output_size(self) -> int:
        """A datapoint, and the position if that is asked for."""
        return self.width + self.read_position

    @property
    def state_size(self) -> int:
        """The position."""
        return 1

    def count_weights(self, input_size: int) -> int:
        """None."""
        del input_size
        return 0

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The tape."""
        return {"data": (self.datapoints or None, self.width)}


@hookimpl
def superloop_register():
    """The attention of the original superloop."""
    yield SystemSpec(
        name="attention",
        config=AttentionConfig,
        factory="superloop_plugin_attention.attention:Attention",
        summary="Attention that walks a data tape, of the original superloop (Csirmaz, 2018)",
        example={"width": 3, "datapoints": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
        original_names={"outputs": "width"},
    )
