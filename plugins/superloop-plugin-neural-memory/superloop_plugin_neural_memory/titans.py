"""The neural memory of Titans."""

from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import State, Tensor
from superloop_plugin_neural_memory import TitansConfig

FLOOR = 1e-6  # of the length that a key is divided by; a key of zeros stays zeros
FORGET_BIAS = -4.0  # a memory whose control is 0 forgets 2%


class TitansState(NamedTuple):
    """The weights of a linear memory, and their last step."""

    memory: Tensor  # (batch, heads, width, key_size)
    momentum: Tensor  # the same


class HiddenTitansState(NamedTuple):
    """The weights of a memory with a hidden layer, and their last steps."""

    memory: Tensor  # (batch, heads, width, hidden_size)
    hidden: Tensor  # (batch, heads, hidden_size, key_size)
    momentum: Tensor  # of the memory
    hidden_momentum: Tensor


class Titans(System[TitansConfig]):
    """Memories whose weights take a step of gradient descent at each timestep, then give a value for a query.

    ::

        k = key / |key|,  q = query / |query|
        theta = max_step sigmoid(step),  eta = max_momentum sigmoid(momentum),  alpha = sigmoid(forget - 4)
        S'   = eta S - theta d|M(k) - value|^2 / dM
        M'   = (1 - alpha) M + alpha M_0 + S'
        read = M'(q)

        M(x) = W x                                       linear, M_0 = 0
        M(x) = W u,  u = tanh(V x) / sqrt(hidden_size)   with a hidden layer, M_0 trained

    The gradients are written out: with e = M(k) - value, that of a linear W is 2 e k^T. With a hidden layer
    that of W is 2 e u^T, and that of V is 2 (W^T e * (1 - tanh^2(V k)) / sqrt(hidden_size)) k^T. They are
    taken at M, before it forgets. Without momentum and forgetting, a linear memory is DeltaNet with beta =
    2 theta.

    Momentum overshoots: a step goes on while its error is not seen, up to 1 / (1 - eta) times its length. If
    2 theta <= (1 - m)^2 / (1 + m) for m = max_momentum, no control makes W explode: with h = 2 m / (1 - m),
    the largest of |W|, |W + h S| and (1 + h) |S| never grows but by what the values add. That is the
    default of ``max_step``, and holds for W with a hidden layer too, since |u| <= 1. Longer steps store a
    value in fewer timesteps; that they are stable is then up to the control.

    M_0 of a hidden layer is trained, for each head; its W starts at 0, so that a new memory reads zeros. It
    forgets towards M_0, since weights of zeros could not learn; in the paper it forgets towards zeros. The
    paper leaves the activation open, and maps keys and queries by a convolution and SiLU before it divides
    them by their lengths; there is neither here.

    The control holds the step lengths of all heads, their momenta, their shares to forget, then all keys, all
    queries and all values.

    Reference: Behrouz, Zhong and Mirrokni, "Titans: Learning to Memorize at Test Time", 2025,
    https://arxiv.org/abs/2501.00663

    Traces: ``memory``, W, ``(batch, heads, width, key_size or hidden_size)``; ``momentum``, S of W, the same;
    with a hidden layer ``hidden``, V, and ``hidden_momentum``, ``(batch, heads, hidden_size, key_size)``;
    ``step_length``, theta, ``momentum_rate``, eta, ``forgetting``, alpha, and ``inner_loss``, before the
    step, ``(batch, heads)``; ``keys``, k, and ``queries``, q, ``(batch, heads, key_size)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "head", "number", "key number"),
        "momentum": TraceView("slots", "head", "number", "key number"),
        "hidden": TraceView("slots", "head", "unit", "key number", optional=True),
        "hidden_momentum": TraceView("slots", "head", "unit", "key number", optional=True),
        "step_length": TraceView("scalar", "head"),
        "momentum_rate": TraceView("scalar", "head"),
        "forgetting": TraceView("scalar", "head"),
        "inner_loss": TraceView("scalar", "head"),
        "keys": TraceView("vector", "head", "key number"),
        "queries": TraceView("vector", "head", "key number"),
    }

    def build(self, input_size: int) -> None:
        """Make the weights at t = 0 of a memory with a hidden layer; a linear one starts with zeros."""
        del input_size
        config = self.config
        if config.hidden_size:
            shape = (config.heads, config.width, config.hidden_size)
            self.memory = self.add_weight(shape=shape, initializer="zeros", name="memory")
            shape = (config.heads, config.hidden_size, config.key_size)
            normal = keras.initializers.RandomNormal(stddev=1.0)
            self.hidden = self.add_weight(shape=shape, initializer=normal, name="hidden")

    def constants(self, sequence: Sequence) -> tuple[Tensor, ...]:
        """Return the weights that the memory forgets towards; none, which are zeros, where it is linear."""
        del sequence
        starts = (self.memory, self.hidden) if self.config.hidden_size else ()
        return tuple(ops.convert_to_tensor(start) for start in starts)

    def initial_state(self, sequence: Sequence) -> State:
        """Start with the trained weights, or with zeros where it is linear; without momentum."""
        config = self.config
        if starts := self.constants(sequence):
            weights = [ops.broadcast_to(start, (sequence.batch_size, *start.shape)) for start in starts]
            return HiddenTitansState(*weights, *map(ops.zeros_like, weights))
        shape = (sequence.batch_size, config.heads, config.width, config.key_size)
        zeros = ops.zeros(shape, dtype=self.variable_dtype)
        return TitansState(zeros, zeros)

    def step(
        self, control: Tensor, state: State, constants: tuple[Tensor, ...]
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Learn, then read. The control is ``(batch, control_size)``."""
        config = self.config
        heads, size = config.heads, config.key_size
        ends = np.cumsum([heads, heads, heads, heads * size, heads * size])
        steps, momenta, forgets, keys, queries, values = ops.split(control, ends, axis=-1)
        theta = config.largest_step * ops.sigmoid(steps)  # (batch, heads)
        eta = config.max_momentum * ops.sigmoid(momenta)
        alpha = ops.sigmoid(forgets + FORGET_BIAS)
        key, query = (
            tf.math.l2_normalize(ops.reshape(x, (-1, heads, size)), axis=-1, epsilon=FLOOR**2)
            for x in (keys, queries)
        )
        count = len(state) // 2
        weights, last = state[:count], state[count:]
        u = self._features(weights, key)
        error = _product(weights[0], u) - ops.reshape(values, (-1, heads, config.width))
        slopes = [2 * _outer(error, u)]
        if config.hidden_size:
            root = config.hidden_size**0.5  # u = tanh(V k) / root
            back = _product(ops.swapaxes(weights[0], -1, -2), error) * (1 - ops.square(root * u)) / root
            slopes.append(2 * _outer(back, key))
        theta_, eta_, alpha_ = (x[..., None, None] for x in (theta, eta, alpha))
        changes = [eta_ * s - theta_ * slope for s, slope in zip(last, slopes, strict=True)]
        learned = [
            w - alpha_ * (w - start) + change
            for w, start, change in zip(weights, constants or (0.0,), changes, strict=True)
        ]
        read = _product(learned[0], self._features(learned, query))
        loss = ops.sum(ops.square(error), axis=-1)
        traces = {"step_length": theta, "momentum_rate": eta, "forgetting": alpha, "inner_loss": loss}
        traces |= {"keys": key, "queries": query}
        return ops.reshape(read, (-1, heads * config.width)), type(state)(*learned, *changes), traces

    def _features(self, weights: Any, x: Tensor) -> Tensor:
        """Return what the last layer multiplies: x, or the hidden layer."""
        if not self.config.hidden_size:
            return x
        return ops.tanh(_product(weights[1], x)) / self.config.hidden_size**0.5


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return a matrix times a vector, of each row and head."""
    return ops.sum(matrix * vector[:, :, None], axis=-1)


def _outer(one: Tensor, other: Tensor) -> Tensor:
    """Return the outer product, of each row and head."""
    return one[..., None] * other[:, :, None]
