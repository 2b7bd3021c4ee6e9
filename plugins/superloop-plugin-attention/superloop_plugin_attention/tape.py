"""A tape of data."""

from keras import ops

from superloop_core import Sequence
from superloop_core.builder import Tensor


def taped(sequence: Sequence) -> tuple[Tensor, Tensor]:
    """Return the data, ``(batch, datapoints, width)``, and which of it is not masked, 1 or 0."""
    data = sequence.sources["data"]
    if (mask := sequence.masks.get("data")) is None:
        return data, ops.ones_like(data[:, :, 0])
    return data, ops.cast(mask, data.dtype)
