"""Associative memory of fast weights."""

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor

SHORTEST = 1e-6  # the least length or sum that a key is divided by, so that zeros stay zeros


class KeyValueState(NamedTuple):
    """The fast weights: what is read is they, times a key."""

    memory: Tensor  # (batch, heads, width, key_features)


class KeyValue(System):
    """Memories that write a value under a key, and then read what is under a query.

    ::

        k = phi(key),  q = phi(query),  beta = sigmoid(strength)
        W~   = decay W
        W'   = W~ + beta (value - W~ k) k^T            the delta rule;   W~ + beta value k^T, the sum
        read = W' q

        phi(x) = x / |x|                               linear
               = elu(x) + 1, over its length or sum
               = [r_i r_{i+j}], j = 1 ... nu, r = [relu(x); relu(-x)], over its length or sum

    With a ``unit`` norm and beta = 1 the delta rule reads back what it wrote under the same key, exactly,
    whatever was there; what is under keys at right angles stays as it was, but for the decay. With keys
    whose ``sum`` is 1 it comes nearer to the value, by beta |k|^2. Either way |k| <= 1, and no write makes
    the error under its own key greater. By the sum rule all that was written under like keys adds up.

    A key of zeros writes nothing, and reads zeros. So does one of which ``dpfp`` makes zeros: with nu = 1,
    one that has a single number other than 0.

    The control holds the strengths of all heads, and then all keys, queries and values.

    References: Schlag et al., 2021, https://arxiv.org/abs/2102.11174 (the delta rule, ``dpfp``, norms by the
    sum); Ba et al., 2016, https://arxiv.org/abs/1610.06258 (the sum with a decay); Katharopoulos et al.,
    2020, https://arxiv.org/abs/2006.16236 (``elu``); Yang et al., 2024, https://arxiv.org/abs/2412.06464
    (the delta rule on what a decay has left).

    Traces: ``memory`` ``(batch, heads, width, key_features)``; ``write_strength``, beta, ``(batch, heads)``;
    ``keys`` and ``queries``, k and q, ``(batch, heads, key_features)``.
    """

    def initial_state(self, sequence: Sequence) -> KeyValueState:
        """Start with nothing under any key: zeros."""
        config = self.config
        shape = (sequence.batch_size, config.heads, config.width, config.key_features)
        return KeyValueState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: KeyValueState, constants: Any
    ) -> tuple[Tensor, KeyValueState, dict[str, Tensor]]:
        """Write, then read: control ``(batch, heads * (1 + 2 key_size + width))``."""
        del constants
        config = self.config
        heads, addresses = config.heads, 2 * config.heads * config.key_size
        strength, addressed, value = ops.split(control, [heads, heads + addresses], axis=-1)
        beta = ops.sigmoid(strength)  # (batch, heads)
        phi = self._features(ops.reshape(addressed, (-1, 2, heads, config.key_size)))
        key, query = phi[:, 0], phi[:, 1]  # (batch, heads, key_features)
        written = ops.reshape(value, (-1, heads, config.width))
        memory = config.decay * state.memory
        if config.rule == "delta":
            written -= _read(memory, key)
        memory += (beta[:, :, None] * written)[..., None] * key[:, :, None]
        read = ops.reshape(_read(memory, query), (-1, heads * config.width))
        return read, KeyValueState(memory), {"write_strength": beta, "keys": key, "queries": query}

    def _features(self, x: Tensor) -> Tensor:
        """``(..., key_size)`` -> ``(..., key_features)``."""
        config = self.config
        if config.feature_map == "elu":
            x = ops.elu(x) + 1
        elif config.feature_map == "dpfp":
            r = ops.relu(ops.concatenate([x, -x], axis=-1))
            x = ops.concatenate([r * tf.roll(r, -j, axis=-1) for j in range(1, config.nu + 1)], axis=-1)
        if config.norm == "unit":
            return tf.math.l2_normalize(x, axis=-1, epsilon=SHORTEST**2)
        return x / ops.maximum(ops.sum(x, axis=-1, keepdims=True), SHORTEST)


def _read(memory: Tensor, key: Tensor) -> Tensor:
    """The memory times a key, ``(batch, heads, width)``."""
    return ops.sum(memory * key[:, :, None], axis=-1)
