"""The memory of MesaNet."""

from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView, checkpoint
from superloop_core.builder import Tensor
from superloop_plugin_kv import MesaConfig
from superloop_plugin_kv.operations import GATE_BIAS, features, read_of

LEAST_RIDGE, FIRST_RIDGE = 0.25, 1.0  # those of the authors' code
MOST_MASS = 1e5  # above, float32 cannot tell a ridge from an error of rounding
LEAST_MASS = 1e-12


class MesaState(NamedTuple):
    """All pairs written so far, as the sums that their regression needs, divided by the sum of weights."""

    mass: Tensor  # (batch, heads), the sum of weights
    covariance: Tensor  # (batch, heads, key_size, key_size), the mean of k k^T
    memory: Tensor  # (batch, heads, width, key_size), the mean of value k^T


class Mesa(System[MesaConfig]):
    """Memories that read by the linear map which fits all pairs of keys and values best.

    ::

        k = phi(key),  q = phi(query),  beta = sigmoid(strength),  alpha = sigmoid(gate + 4)
        G'   = alpha G + beta k k^T                    (key_size, key_size)
        H'   = alpha H + beta value k^T                (width, key_size)
        read = H' (G' + diag(ridge))^-1 q              solved exactly

        phi(x) = x / |x|                               linear
               = silu(x) / |silu(x)|                   silu
        ridge  = 1/4 + softplus(r),  r trained, 1 at first       (heads, key_size)

    The read is W q with the W that minimizes sum_i c_i |value_i - W k_i|^2 + tr(W diag(ridge) W^T), where
    c_i is the beta of a write times all alphas after it: it does not depend on the order of writes, as that
    of a delta rule does.

    The state holds G and H divided by the sum of the c_i, the ``mass``, since errors of rounding in sums of
    many timesteps can make G indefinite: after 10,000 writes under one key, by more than the ridge is in
    float32. A mean stays where it is if nothing new is written. The mass is at most 100,000: from there on,
    older writes decay a little more than alpha says.

    A key of zeros writes nothing and reads zeros. The control holds the strengths of all heads, then all
    keys, all queries, all values and all gates.

    Reference: von Oswald et al., "MesaNet: Sequence Modeling by Locally Optimal Test-Time Training", 2025,
    https://arxiv.org/abs/2506.05233 (which solves by conjugate gradients, and has a convolution and norms
    around the memory)

    Traces: ``mass`` ``(batch, heads)``; ``covariance`` ``(batch, heads, key_size, key_size)``; ``memory``
    ``(batch, heads, width, key_size)``; ``write_strength``, beta, and ``decay``, alpha, ``(batch, heads)``;
    ``keys``, k, and ``queries``, q, ``(batch, heads, key_size)``.
    """

    trace_views: ClassVar = {
        "mass": TraceView("scalar", "head"),
        "covariance": TraceView("links", "head", "key number", "other key number"),
        "memory": TraceView("slots", "head", "number", "key number"),
        "write_strength": TraceView("scalar", "head"),
        "decay": TraceView("scalar", "head"),
        "keys": TraceView("vector", "head", "key number"),
        "queries": TraceView("vector", "head", "key number"),
    }

    learned_fields = ()  # means of no writes have no weight

    def build(self, input_size: int) -> None:
        """Make the ridge."""
        del input_size
        first = float(np.log(np.expm1(FIRST_RIDGE - LEAST_RIDGE)))
        self.ridge = self.add_weight(
            shape=(self.config.heads, self.config.key_size),
            initializer=keras.initializers.Constant(first),
            name="ridge",
        )

    def initial_state(self, sequence: Sequence) -> MesaState:
        """Start without writes: every query reads zeros."""
        config = self.config
        heads, d = (sequence.batch_size, config.heads), config.key_size
        sizes = ((), (d, d), (config.width, d))
        return MesaState(*(ops.zeros((*heads, *size), dtype=self.variable_dtype) for size in sizes))

    def step(
        self, control: Tensor, state: MesaState, constants: Any
    ) -> tuple[Tensor, MesaState, dict[str, Tensor]]:
        """Write, then solve for the read. The control is ``(batch, control_size)``."""
        del constants
        config = self.config
        heads = config.heads
        ends = np.cumsum([heads, 2 * heads * config.key_size, heads * config.width])
        strength, addresses, values, gate = ops.split(control, ends, axis=-1)
        beta, alpha = ops.sigmoid(strength), ops.sigmoid(gate + GATE_BIAS)  # (batch, heads)
        phi = features(ops.reshape(addresses, (-1, 2 * heads, config.key_size)), config.feature_map)
        key, query = phi[:, :heads], phi[:, heads:]  # (batch, heads, key_size)
        values = ops.reshape(values, (-1, heads, config.width))
        mass = ops.minimum(alpha * state.mass + beta, MOST_MASS)
        share = (beta / ops.maximum(mass, LEAST_MASS))[:, :, None, None]  # of the new pair in the means
        row = key[:, :, None]  # (batch, heads, 1, key_size)
        covariance = state.covariance + share * (key[..., None] * row - state.covariance)
        memory = state.memory + share * (values[..., None] * row - state.memory)
        ridge = tf.linalg.diag(LEAST_RIDGE + ops.softplus(self.ridge))
        weight = mass[:, :, None, None]
        solved = solve(weight * covariance + ridge, query)
        read = ops.reshape(read_of(weight * memory, solved), (-1, config.output_size))
        traces = {"write_strength": beta, "decay": alpha, "keys": key, "queries": query}
        return read, MesaState(mass, covariance, memory), traces


@tf.custom_gradient  # type: ignore[untyped-decorator]
def solve(matrices: Tensor, vectors: Tensor) -> Any:
    """Return the x of ``matrices x = vectors``, saved for the backward pass, which then solves once.

    Args:
        matrices: symmetric and positive definite, ``(batch, heads, n, n)``.
        vectors: ``(batch, heads, n)``.
    """
    x = checkpoint(_solution(matrices, vectors))

    def gradient(slope: Tensor) -> tuple[Tensor, Tensor]:
        of_vectors = _solution(tf.linalg.matrix_transpose(matrices), slope)
        return -of_vectors[..., None] * x[..., None, :], of_vectors

    return x, gradient


def _solution(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve in the way that is faster: XLA would compile ``tf.linalg.solve`` to a QR decomposition."""
    if tf.__internal__.get_enclosing_xla_context():
        return eliminate(matrices, vectors)
    return tf.linalg.solve(matrices, vectors[..., None])[..., 0]


def eliminate(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve by Gauss-Jordan elimination without pivoting, which positive definite matrices do not need.

    A step eliminates the first column, drops it, and moves the first row to the end.
    """
    n = matrices.shape[-1]
    rows = tf.concat([matrices, vectors[..., None]], axis=-1)
    columns = tf.transpose(rows, (3, 2, 0, 1))  # (n + 1, n, batch, heads): long vectors for the processor

    def step(done: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        first = columns[1:, :1] / columns[:1, :1]
        others = columns[1:, 1:] - columns[:1, 1:] * first
        left = tf.concat([others, first], axis=1)
        return done + 1, tf.concat([left, left[:1]], axis=0)  # of a constant shape; nothing reads the last

    _, columns = tf.while_loop(lambda done, _: done < n, step, (0, columns))
    return tf.transpose(columns[0], (1, 2, 0))
