"""Attention over data."""

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
        bounded: keep the position within the data, from 0 to the last datapoint that is not masked.
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
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The tape."""
        return {"data": (self.datapoints or None, self.width)}


@attrs.frozen(kw_only=True)
class ContentAttentionConfig:
    """Attention to the datapoints whose keys are like a query.

    Args:
        width: size of a datapoint.
        datapoints: how many; 0: as many as the data has.
        key_size: size of a key, and of the query.
        score: how like they are: ``dot``, their product over the root of the size; ``additive``, a learned
            sum of tanh(query + key).
    """

    width: int = attrs.field(validator=ge(1))
    datapoints: int = attrs.field(default=0, validator=ge(0))
    key_size: int = attrs.field(default=8, validator=ge(1))
    score: Literal["dot", "additive"] = "dot"

    @property
    def control_size(self) -> int:
        """The query."""
        return self.key_size

    @property
    def output_size(self) -> int:
        """A datapoint."""
        return self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The datapoints."""
        return {"data": (self.datapoints or None, self.width)}


@attrs.frozen(kw_only=True)
class LocationAttentionConfig:
    """A window that moves along a tape of datapoints, and never back.

    Args:
        width: size of a datapoint.
        datapoints: length of the tape; 0: as many as the data has.
        components: bells that the window is the sum of, each with a position of its own.
    """

    width: int = attrs.field(validator=ge(1))
    datapoints: int = attrs.field(default=0, validator=ge(0))
    components: int = attrs.field(default=10, validator=ge(1))

    @property
    def control_size(self) -> int:
        """Of each component the height, the sharpness, and how far to move."""
        return 3 * self.components

    @property
    def output_size(self) -> int:
        """A datapoint."""
        return self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The tape."""
        return {"data": (self.datapoints or None, self.width)}


@hookimpl
def superloop_register():
    """The attention of the original superloop, by content, and by location."""
    yield SystemSpec(
        name="attention",
        config=AttentionConfig,
        factory="superloop_plugin_attention.attention:Attention",
        summary="Attention that walks a data tape, of the original superloop (Csirmaz, 2018)",
        example={"width": 3, "datapoints": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
        original_names={"outputs": "width"},
    )
    yield SystemSpec(
        name="content_attention",
        config=ContentAttentionConfig,
        factory="superloop_plugin_attention.content_attention:ContentAttention",
        summary="Attention to the datapoints that are like a query (Bahdanau et al., 2015)",
        example={"width": 3, "key_size": 4},
        reference="Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473",
    )
    yield SystemSpec(
        name="location_attention",
        config=LocationAttentionConfig,
        factory="superloop_plugin_attention.location_attention:LocationAttention",
        summary="A window that moves along a data tape, of the handwriting network (Graves, 2013)",
        example={"width": 3, "components": 2},
        reference="Graves, 2013, https://arxiv.org/abs/1308.0850",
    )
