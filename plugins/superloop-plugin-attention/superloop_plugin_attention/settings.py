"""Settings of the three kinds of attention."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSettings


@attrs.frozen(kw_only=True)
class DataConfig(SystemSettings):
    """Settings of what reads a datapoint from data of the user's.

    Args:
        width: size of a datapoint.
        datapoints: number of datapoints; 0: the length of the data.
    """

    width: int = attrs.field(validator=ge(1))
    datapoints: int = attrs.field(default=0, validator=ge(0))

    @property
    def output_size(self) -> int:
        """A datapoint."""
        return self.width

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """The data."""
        return {"data": (self.datapoints or None, self.width)}


@attrs.frozen(kw_only=True)
class AttentionConfig(DataConfig):
    """Attention that walks a tape of datapoints.

    Args:
        kernel: weight of a datapoint at distance d: ``inverse_square``, 1 / (1 + d^2), or
            ``inverse_distance``, 1 / (1 + |d|).
        normalize: divide the weights by their sum.
        read_position: append the position to the read vector.
        bounded: keep the position within the data, from 0 to the last datapoint that is not masked.
    """

    kernel: Literal["inverse_square", "inverse_distance"] = "inverse_square"
    normalize: bool = False
    read_position: bool = False
    bounded: bool = False

    @property
    def control_size(self) -> int:
        """One number, the move."""
        return 1

    @property
    def output_size(self) -> int:
        """A datapoint, and the position with ``read_position``."""
        return self.width + self.read_position


@attrs.frozen(kw_only=True)
class ContentAttentionConfig(DataConfig):
    """Attention to the datapoints whose keys match a query.

    Args:
        key_size: size of a key and of the query.
        score: how well a key matches the query: ``dot``, their scalar product divided by the root of
            ``key_size``; ``additive``, a learned sum of tanh(query + key).
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    score: Literal["dot", "additive"] = "dot"

    @property
    def control_size(self) -> int:
        """The query."""
        return self.key_size


@attrs.frozen(kw_only=True)
class LocationAttentionConfig(DataConfig):
    """A window that moves forward along a tape of datapoints, never back.

    Args:
        components: number of Gaussian components in the window, each with its own position.
    """

    components: int = attrs.field(default=10, validator=ge(1))

    @property
    def control_size(self) -> int:
        """Height, sharpness and move of each component."""
        return 3 * self.components
