"""The memory of TTT-Linear."""

from typing import ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_neural_memory import TttLinearConfig

FLOOR = 1e-6  # of the length that a key is divided by; a key of zeros stays zeros
EPSILON = 1e-6  # of the layer normalization


class TTTLinearState(NamedTuple):
    """The weights that learn."""

    memory: Tensor  # (batch, heads, width, width)
    bias: Tensor  # (batch, heads, width)


class TTTLinear(System[TttLinearConfig]):
    """Memories whose weights take a step of gradient descent at each timestep, then give a value for a query.

    ::

        f(x)  = LN(W x + b),  LN(u) = gain * (u - mean(u)) / sqrt(var(u) + 1e-6) + offset
        k     = key / |key|,  eta = max_step sigmoid(step)
        loss  = |f(k) - (value - k)|^2 / 2
        W', b' = W - eta dloss/dW,  b - eta dloss/db
        read  = q + f'(q)

    The gradient is written out: with u = W k + b, s = sqrt(var(u) + 1e-6), w = (u - mean(u)) / s and d =
    gain * (f(k) - value + k), it is g = (d - mean(d) - w mean(d * w)) / s by u and by b, and g k^T by W.

    A step moves u by -2 eta g, since keys have length 1. Linearized, it multiplies the error under its key by
    1 - 2 eta gain^2 / var(u) at the least: with ``max_step`` = 1/2 it does not turn the error round at the
    start, where var(u) is about 1. g is orthogonal to [W b] but for the 1e-6. So steps lengthen the weights,
    longer weights shorten the steps, and no control makes the memory explode; nor does it forget.

    W at t = 0, ``gain`` and ``offset`` are trained, for each head; b starts at 0. A new W has normal numbers
    of variance 1. Keys have length 1; q is the query as it comes, since a read depends on its length. The
    paper computes the gradients of 16 timesteps at once, those of the weights before them; here it is one.

    The control holds the step lengths of all heads, then all keys, all queries and all values.

    Reference: Sun et al., "Learning to (Learn at Test Time): RNNs with Expressive Hidden States", 2024,
    https://arxiv.org/abs/2407.04620

    Traces: ``memory``, W, ``(batch, heads, width, width)``; ``bias``, b, ``(batch, heads, width)``;
    ``step_length``, eta, and ``inner_loss``, before the step, ``(batch, heads)``; ``keys``, k, and
    ``queries``, q, ``(batch, heads, width)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "head", "number", "key number"),
        "bias": TraceView("vector", "head", "number"),
        "step_length": TraceView("scalar", "head"),
        "inner_loss": TraceView("scalar", "head"),
        "keys": TraceView("vector", "head", "key number"),
        "queries": TraceView("vector", "head", "key number"),
    }

    learned_fields = ("bias",)

    def build(self, input_size: int) -> None:
        """Make the weights."""
        del input_size
        heads, width = self.config.heads, self.config.width
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.start = self.add_weight(shape=(heads, width, width), initializer=normal, name="start")
        self.gain = self.add_weight(shape=(heads, width), initializer="ones", name="gain")
        self.offset = self.add_weight(shape=(heads, width), initializer="zeros", name="offset")

    def initial_state(self, sequence: Sequence) -> TTTLinearState:
        """Start with the trained weights."""
        start = ops.convert_to_tensor(self.start)
        memory = ops.broadcast_to(start, (sequence.batch_size, *start.shape))
        return TTTLinearState(memory, ops.zeros_like(memory[..., 0]))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return the gain and the offset."""
        del sequence
        return ops.convert_to_tensor(self.gain), ops.convert_to_tensor(self.offset)

    def step(
        self, control: Tensor, state: TTTLinearState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, TTTLinearState, dict[str, Tensor]]:
        """Learn, then read. The control is ``(batch, control_size)``."""
        gain, offset = constants
        heads, width = self.config.heads, self.config.width
        ends = heads + np.arange(3) * heads * width
        steps, *vectors = ops.split(control, ends, axis=-1)
        key, query, value = (ops.reshape(vector, (-1, heads, width)) for vector in vectors)
        key = tf.math.l2_normalize(key, axis=-1, epsilon=FLOOR**2)
        eta = self.config.max_step * ops.sigmoid(steps)  # (batch, heads)
        normal, deviation = _normalized(_output(state, key))
        error = gain * normal + offset - (value - key)
        d = gain * error
        along = normal * ops.mean(d * normal, axis=-1, keepdims=True)
        slope = (d - ops.mean(d, axis=-1, keepdims=True) - along) / deviation  # (batch, heads, width)
        change = eta[..., None] * slope
        state = TTTLinearState(state.memory - change[..., None] * key[:, :, None], state.bias - change)
        read = query + gain * _normalized(_output(state, query))[0] + offset
        loss = ops.sum(ops.square(error), axis=-1) / 2
        traces = {"step_length": eta, "inner_loss": loss, "keys": key, "queries": query}
        return ops.reshape(read, (-1, heads * width)), state, traces


def _output(state: TTTLinearState, x: Tensor) -> Tensor:
    """Return W x + b, ``(batch, heads, width)``."""
    return ops.sum(state.memory * x[:, :, None], axis=-1) + state.bias


def _normalized(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return u with mean 0 and variance 1, and the deviation it was divided by."""
    centred = u - ops.mean(u, axis=-1, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + EPSILON)
    return centred / deviation, deviation
