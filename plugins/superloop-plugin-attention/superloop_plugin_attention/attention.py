"""Attention that walks a data tape."""

from typing import Any, NamedTuple

import keras
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor


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

    Sources: ``data``, ``(batch, datapoints, width)``.
    Traces: ``position`` ``(batch, 1)``; ``weights`` ``(batch, datapoints)``, at the position after the move.
    """

    control_kernel_initializer = keras.initializers.RandomUniform(0.0, 0.1)
    control_bias_initializer = keras.initializers.Constant(0.9)

    def initial_state(self, sequence: Sequence) -> AttentionState:
        """Start at the first datapoint, position 0."""
        return AttentionState(ops.zeros((sequence.batch_size, 1), dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: AttentionState, constants: Any
    ) -> tuple[Tensor, AttentionState, dict[str, Tensor]]:
        """Move by the control ``(batch, 1)``, and read."""
        data = constants["data"]  # (batch, datapoints, width)
        datapoints = ops.shape(data)[1]
        position = state.position + ops.softsign(control)
        if self.config.bounded:
            position = ops.clip(position, 0, ops.cast(datapoints - 1, position.dtype))
        distance = position - ops.arange(datapoints, dtype=position.dtype)  # (batch, datapoints)
        if self.config.kernel == "inverse_square":
            weights = 1 / (1 + distance * distance)
        else:
            weights = 1 / (1 + ops.abs(distance))
        if self.config.normalize:
            weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        if self.config.read_position:
            read = ops.concatenate([read, position], axis=-1)
        return read, AttentionState(position), {"weights": weights}
