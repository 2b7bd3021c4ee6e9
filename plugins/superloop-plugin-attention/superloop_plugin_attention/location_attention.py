"""A window that moves along a data tape."""

from typing import ClassVar, NamedTuple

from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_attention.settings import LocationAttentionConfig
from superloop_plugin_attention.tape import tape_of

BEND = 5.0  # where the exponential ends and its tangent begins


class LocationAttentionState(NamedTuple):
    """The positions of the window's components, kappa."""

    position: Tensor  # (batch, components)


class LocationAttention(System[LocationAttentionConfig]):
    """A window, a sum of Gaussian components, that the control moves forward along a tape, never back.

    ::

        alpha, beta, step = growth(control), split in three
        kappa_k' = kappa_k + step_k
        weights_u = sum_k alpha_k exp(-beta_k (kappa_k' - u)^2)
        read      = sum_u weights_u data_u

        growth(x) = exp(x)                 up to x = 5
                  = exp(5) (x - 4)         above: the tangent at 5, which neither overflows nor goes flat

    The weights are not normalized. Datapoints are counted from 0 and a position starts at -1; Graves counts
    from 1 and starts at 0. The controls of an untrained network are near 0, so it moves by about one
    datapoint in a step.

    Reference: Graves, 2013, https://arxiv.org/abs/1308.0850, section 5.1, with exp for ``growth``

    Sources: ``data``, ``(batch, datapoints, width)``. A masked datapoint has weight 0.
    Traces: ``position`` ``(batch, components)``, before the move; ``weights`` ``(batch, datapoints)``, after
    it.
    """

    trace_views: ClassVar = {
        "position": TraceView("position", "component"),
        "weights": TraceView("weights", "data"),
    }

    def initial_state(self, sequence: Sequence) -> LocationAttentionState:
        """Start one before the first datapoint, at position -1."""
        shape = (sequence.batch_size, self.config.components)
        return LocationAttentionState(ops.full(shape, -1.0, dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return the data, and 1 for each datapoint, 0 where it is masked."""
        return tape_of(sequence)

    def step(
        self, control: Tensor, state: LocationAttentionState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, LocationAttentionState, dict[str, Tensor]]:
        """Move by the control ``(batch, 3 components)``, then read."""
        data, valid = constants  # (batch, datapoints, width), (batch, datapoints)
        alpha, beta, step = ops.split(_growth(control), 3, axis=-1)  # (batch, components)
        position = state.position + step
        distance = position[..., None] - ops.arange(ops.shape(data)[1], dtype=position.dtype)
        components = alpha[..., None] * ops.exp(-beta[..., None] * distance * distance)
        weights = valid * ops.sum(components, axis=1)  # (batch, datapoints)
        read = ops.squeeze(weights[:, None] @ data, axis=1)  # (batch, width)
        return read, LocationAttentionState(position), {"weights": weights}


def _growth(x: Tensor) -> Tensor:
    """Return the exponential, and its tangent above BEND."""
    return ops.exp(ops.minimum(x, BEND)) * (1 + ops.relu(x - BEND))
