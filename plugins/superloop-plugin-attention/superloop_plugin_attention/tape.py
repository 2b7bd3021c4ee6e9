"""A tape of data."""

from keras import ops

from superloop_core import Sequence
from superloop_core.builder import Tensor


def tape_of(sequence: Sequence) -> tuple[Tensor, Tensor]:
    """Return the data ``(batch, datapoints, width)``, and 1, or 0 where masked, ``(batch, datapoints)``."""
    data = sequence.sources["data"]
    if (mask := sequence.masks.get("data")) is None:
        return data, ops.ones_like(data[:, :, 0])
    return data, ops.cast(mask, data.dtype)
