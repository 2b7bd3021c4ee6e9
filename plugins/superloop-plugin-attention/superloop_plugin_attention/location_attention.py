"""A window that moves along a data tape."""

from typing import NamedTuple

from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_attention.tape import taped

BEND = 5.0


class LocationAttentionState(NamedTuple):
    """Where on the tape the window's components are: kappa."""

    position: Tensor  # (batch, components)


class LocationAttention(System):
    """A window, the sum of bells, that the control moves along a tape, and never back.

    ::

        alpha, beta, step = grown(control), split in three
        kappa_k' = kappa_k + step_k
        weights_u = sum_k alpha_k exp(-beta_k (kappa_k' - u)^2)
        read      = sum_u weights_u data_u

        grown(x) = exp(x)                  up to x = 5
                 = exp(5) (x - 4)          above: the tangent there, which never overflows or goes flat

    The weights have no sum that they keep to. Datapoints are counted from 0, and a position starts at -1,
    one before the first, as Graves has it, who counts from 1. An untrained network, whose controls are near
    0, goes on by about a datapoint a step.

    Reference: Graves, 2013, https://arxiv.org/abs/1308.0850, section 5.1, with exp for ``grown``

    Sources: ``data``, ``(batch, datapoints, width)``; where it is masked it weighs nothing.
    Traces: ``position`` ``(batch, components)``; ``weights`` ``(batch, datapoints)``, at the positions after
    the move.
    """

    def initial_state(self, sequence: Sequence) -> LocationAttentionState:
        """Start before the first datapoint, at position -1."""
        shape = (sequence.batch_size, self.config.components)
        return LocationAttentionState(ops.full(shape, -1.0, dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return the data, and 1 where there is a datapoint, 0 where it is masked."""
        return taped(sequence)

    def step(
        self, control: Tensor, state: LocationAttentionState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, LocationAttentionState, dict[str, Tensor]]:
        """Move by the control ``(batch, 3 components)``, and read."""
        data, valid = constants  # (batch, datapoints, width), (batch, datapoints)
        alpha, beta, step = ops.split(_grown(control), 3, axis=-1)  # (batch, components)
        position = state.position + step
        distance = position[..., None] - ops.arange(ops.shape(data)[1], dtype=position.dtype)
        bells = alpha[..., None] * ops.exp(-beta[..., None] * distance * distance)
        weights = valid * ops.sum(bells, axis=1)  # (batch, datapoints)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        return read, LocationAttentionState(position), {"weights": weights}


def _grown(x: Tensor) -> Tensor:
    """The exponential, and its tangent above BEND."""
    return ops.exp(ops.minimum(x, BEND)) * (1 + ops.relu(x - BEND))
