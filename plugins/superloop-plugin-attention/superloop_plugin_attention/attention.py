"""Attention that walks a data tape."""

from typing import ClassVar, NamedTuple

import keras
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_attention.settings import AttentionConfig
from superloop_plugin_attention.tape import tape_of


class AttentionState(NamedTuple):
    """The position on the tape."""

    position: Tensor  # (batch, 1)


class Attention(System[AttentionConfig]):
    """Attention at a real-valued position on a tape. The control moves it by less than 1 in a step.

    ::

        position' = position + control / (1 + |control|)
        weights_i = 1 / (1 + (position' - i)^2)          or 1 / (1 + |position' - i|)
        read      = sum_i weights_i data_i

    No function here has a region of zero gradient, except with ``bounded``: a move beyond an end gets no
    gradient. The control's bias starts at 0.9, so that an untrained network walks along the tape.

    Reference: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop

    Sources: ``data``, ``(batch, datapoints, width)``. A masked datapoint has weight 0. With ``bounded`` the
    tape ends at the last datapoint that is not masked. A batch element whose datapoints are all masked reads
    zeros.
    Traces: ``position`` ``(batch, 1)``, before the move; ``weights`` ``(batch, datapoints)``, after it.
    """

    control_bias_initializer = keras.initializers.Constant(0.9)

    trace_views: ClassVar = {
        "position": TraceView("position", "place"),
        "weights": TraceView("weights", "data"),
    }

    def __init__(self, config: AttentionConfig):
        super().__init__(config)
        self.control_kernel_initializer = keras.initializers.RandomUniform(0.0, 0.1)

    def initial_state(self, sequence: Sequence) -> AttentionState:
        """Start at the first datapoint, position 0."""
        return AttentionState(ops.zeros((sequence.batch_size, 1), dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return the data, and 1 for each datapoint, 0 where it is masked."""
        return tape_of(sequence)

    def step(
        self, control: Tensor, state: AttentionState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, AttentionState, dict[str, Tensor]]:
        """Move by the control ``(batch, 1)``, then read."""
        data, valid = constants  # (batch, datapoints, width), (batch, datapoints)
        position = state.position + ops.softsign(control)
        indices = ops.arange(ops.shape(data)[1], dtype=position.dtype)
        if self.config.bounded:
            last = ops.max(valid * indices, axis=1, keepdims=True)
            position = ops.minimum(ops.maximum(position, 0), last)
        distance = position - indices  # (batch, datapoints)
        if self.config.kernel == "inverse_square":
            weights = valid / (1 + distance * distance)
        else:
            weights = valid / (1 + ops.abs(distance))
        if self.config.normalize:
            total = ops.sum(weights, axis=-1, keepdims=True)
            weights = weights / ops.where(total > 0, total, 1)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        if self.config.read_position:
            read = ops.concatenate([read, position], axis=-1)
        return read, AttentionState(position), {"weights": weights}
