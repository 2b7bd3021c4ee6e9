"""The self-referential weight matrix."""

from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_kv import SelfReferentialConfig
from superloop_plugin_kv.operations import limited

FIRST_STRENGTH = -1.0  # mean of the weights of strengths at the start, as in the authors' code


class SelfReferentialState(NamedTuple):
    """The weights that change themselves: those of the read, of queries, of keys and of strengths."""

    weights: Tensor  # (batch, heads, inputs, width + 2 inputs + 4): W_y, W_q, W_k and W_b


class SelfReferential(System[SelfReferentialConfig]):
    """Weight matrices that compute a read, and the change of themselves.

    ::

        x    = softmax(control)                        or the control itself
        y    = x W_y,  q = softmax(x W_q),  k = softmax(x W_k),  beta = sigmoid(x W_b)
        W'   = W + beta k^T (q W - k W)                for each W of the four, with its own of four betas
        read = y

    W = [W_y W_q W_k W_b] is the state, and its start is trained. It is a delta rule whose keys, values and
    strengths come from the memory: the value under the key k becomes the one under q. All four are read
    before the write, so the read at t depends on writes up to t - 1.

    k and q are not orthogonal, and where q is closer to k than k to itself, a write enlarges W: by up to a
    quarter of what is under k. So a W whose numbers, as one vector, are longer than ``limit`` is scaled back
    to that length, which the paper does not have.

    Reference: Irie et al., "A Modern Self-Referential Weight Matrix That Learns to Modify Itself", 2022,
    https://arxiv.org/abs/2202.05780

    Traces: ``weights`` ``(batch, heads, inputs, width + 2 inputs + 4)``; ``keys``, k, and ``queries``, q,
    ``(batch, heads, inputs)``; ``write_strength``, beta, ``(batch, heads, 4)``.
    """

    trace_views: ClassVar = {
        "weights": TraceView("slots", "head", "input", "output"),
        "keys": TraceView("vector", "head", "input"),
        "queries": TraceView("vector", "head", "input"),
        "write_strength": TraceView("scalar", "head", "block"),
    }

    learned_fields = ()  # the weights at t = 0 are weights of the system

    def build(self, input_size: int) -> None:
        """Make the weights at t = 0."""
        del input_size
        inputs, width = self.config.inputs, self.config.width

        def first(name: str, columns: int, mean: float = 0.0) -> Any:
            return self.add_weight(
                shape=(self.config.heads, inputs, columns),
                initializer=keras.initializers.RandomNormal(mean, stddev=inputs**-0.5),
                name=name,
            )

        self.w_y, self.w_q, self.w_k = first("w_y", width), first("w_q", inputs), first("w_k", inputs)
        self.w_b = first("w_b", 4, FIRST_STRENGTH)

    def initial_state(self, sequence: Sequence) -> SelfReferentialState:
        """Start with the trained weights, the same for every batch element."""
        weights = ops.concatenate([self.w_y, self.w_q, self.w_k, self.w_b], axis=-1)
        return SelfReferentialState(ops.broadcast_to(weights, (sequence.batch_size, *weights.shape)))

    def step(
        self, control: Tensor, state: SelfReferentialState, constants: Any
    ) -> tuple[Tensor, SelfReferentialState, dict[str, Tensor]]:
        """Read, then let the weights change themselves. The control is ``(batch, control_size)``."""
        del constants
        config, weights = self.config, state.weights
        x = ops.reshape(control, (-1, config.heads, 1, config.inputs))
        if config.softmax:
            x = tf.nn.softmax(x)
        sizes = (config.width, config.inputs, config.inputs, 4)
        ends = [sum(sizes[:count]) for count in (1, 2, 3)]
        y, query, key, strength = ops.split(x @ weights, ends, axis=-1)  # each (batch, heads, 1, size)
        query, key, beta = tf.nn.softmax(query), tf.nn.softmax(key), ops.sigmoid(strength)
        rates = ops.repeat(beta, sizes, axis=-1)  # one for each column of the weights
        change = rates * ((query - key) @ weights)
        weights = limited(weights + ops.swapaxes(key, -1, -2) * change, config.limit)
        read = ops.reshape(y, (-1, config.output_size))
        traces = {"keys": key[:, :, 0], "queries": query[:, :, 0], "write_strength": beta[:, :, 0]}
        return read, SelfReferentialState(weights), traces
