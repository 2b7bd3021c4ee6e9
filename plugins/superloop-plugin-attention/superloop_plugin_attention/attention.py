"""Attention that walks a data tape."""

from typing import NamedTuple

import keras
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_attention import AttentionConfig


class AttentionState(NamedTuple):
    """Where on the tape the attention is."""

    position: Tensor  # (batch, 1)


class Attention(System):
    """Attention at a real-valued position on a tape, which the control moves by less than 1 a step.

    ::

        position' = position + control / (1 + |control|)
        weights_i = 1 / (1 + (position' - i)^2)          or 1 / (1 + |position' - i|)
        read      = sum_i weights_i data_i

    No function here has a region of zero gradient, unless the position is ``bounded``: it then gets
    none from a move beyond an end. The control's bias starts high, so that an untrained network walks
    along the tape.

    Source: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop

    Sources: ``data``, ``(batch, datapoints, width)``; where it is masked the tape has ended, and weighs
    nothing.
    Traces: ``position`` ``(batch, 1)``; ``weights`` ``(batch, datapoints)``, at the position after the move.
    """

    control_bias_initializer = keras.initializers.Constant(0.9)

    def __init__(self, config: AttentionConfig):
        super().__init__(config)
        self.control_kernel_initializer = keras.initializers.RandomUniform(0.0, 0.1)

    def initial_state(self, sequence: Sequence) -> AttentionState:
        """Start at the first datapoint, position 0."""
        return AttentionState(ops.zeros((sequence.batch_size, 1), dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return the data, and 1 where there is a datapoint, 0 where there is padding."""
        data = sequence.sources["data"]
        if (mask := sequence.masks.get("data")) is None:
            return data, ops.ones_like(data[:, :, 0])
        return data, ops.cast(mask, data.dtype)

    def step(
        self, control: Tensor, state: AttentionState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, AttentionState, dict[str, Tensor]]:
        """Move by the control ``(batch, 1)``, and read."""
        data, valid = constants  # (batch, datapoints, width), (batch, datapoints)
        position = state.position + ops.softsign(control)
        if self.config.bounded:
            last = ops.sum(valid, axis=1, keepdims=True) - 1
            position = ops.minimum(ops.maximum(position, 0), last)
        distance = position - ops.arange(ops.shape(data)[1], dtype=position.dtype)  # (batch, datapoints)
        if self.config.kernel == "inverse_square":
            weights = valid / (1 + distance * distance)
        else:
            weights = valid / (1 + ops.abs(distance))
        if self.config.normalize:
            weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        if self.config.read_position:
            read = ops.concatenate([read, position], axis=-1)
        return read, AttentionState(position), {"weights": weights}
