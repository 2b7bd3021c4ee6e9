"""Associative memory in fast weights."""

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_kv import KeyValueConfig

FLOOR = 1e-6  # of the length or sum that a key is divided by; a key of zeros stays zeros


class KeyValueState(NamedTuple):
    """The fast weights; a read multiplies them by a query."""

    memory: Tensor  # (batch, heads, width, key_features)


class KeyValue(System[KeyValueConfig]):
    """Memories that write a value under a key, then read the value under a query.

    ::

        k = phi(key),  q = phi(query),  beta = sigmoid(strength)
        W~   = decay W
        W'   = W~ + beta (value - W~ k) k^T            delta rule
             = W~ + beta value k^T                     sum rule
        read = W' q

        phi(x) = x / |x|                               linear
               = elu(x) + 1, divided by its length or sum
               = [r_i r_{i+j}], j = 1 ... nu, r = [relu(x); relu(-x)], divided by its length or sum

    With a ``unit`` norm and beta = 1 the delta rule replaces the value under a key exactly. Values under
    orthogonal keys only decay. With the ``sum`` norm a write multiplies the error under its key by
    1 - beta |k|^2. |k| <= 1 in both cases, so no write increases the error under its own key. With the sum
    rule values under similar keys add up.

    A key of zeros writes nothing and reads zeros. So does a key that ``dpfp`` maps to zeros: with nu = 1, a
    key with a single number other than 0.

    The control holds the write strengths of all heads, then all keys, all queries and all values.

    References: Schlag et al., 2021, https://arxiv.org/abs/2102.11174 (the delta rule, ``dpfp``, norms by the
    sum); Ba et al., 2016, https://arxiv.org/abs/1610.06258 (the sum with a decay); Katharopoulos et al.,
    2020, https://arxiv.org/abs/2006.16236 (``elu``); Yang et al., 2024, https://arxiv.org/abs/2412.06464
    (the delta rule after a decay).

    Traces: ``memory`` ``(batch, heads, width, key_features)``; ``write_strength``, beta, ``(batch, heads)``;
    ``keys`` and ``queries``, k and q, ``(batch, heads, key_features)``.
    """

    def initial_state(self, sequence: Sequence) -> KeyValueState:
        """Start with weights of zeros: every key reads zeros."""
        config = self.config
        shape = (sequence.batch_size, config.heads, config.width, config.key_features)
        return KeyValueState(ops.zeros(shape, dtype=self.variable_dtype))

    def step(
        self, control: Tensor, state: KeyValueState, constants: Any
    ) -> tuple[Tensor, KeyValueState, dict[str, Tensor]]:
        """Write, then read. The control is ``(batch, heads * (1 + 2 key_size + width))``."""
        del constants
        config = self.config
        heads, addresses = config.heads, 2 * config.heads * config.key_size
        strength, keys_and_queries, value = ops.split(control, [heads, heads + addresses], axis=-1)
        beta = ops.sigmoid(strength)  # (batch, heads)
        phi = self._features(ops.reshape(keys_and_queries, (-1, 2, heads, config.key_size)))
        key, query = phi[:, 0], phi[:, 1]  # (batch, heads, key_features)
        change = ops.reshape(value, (-1, heads, config.width))
        memory = config.decay * state.memory
        if config.rule == "delta":
            change -= _read(memory, key)
        memory += (beta[:, :, None] * change)[..., None] * key[:, :, None]
        read = ops.reshape(_read(memory, query), (-1, heads * config.width))
        return read, KeyValueState(memory), {"write_strength": beta, "keys": key, "queries": query}

    def _features(self, x: Tensor) -> Tensor:
        """Map and normalize keys: ``(..., key_size)`` to ``(..., key_features)``."""
        config = self.config
        if config.feature_map == "elu":
            x = ops.elu(x) + 1
        elif config.feature_map == "dpfp":
            r = ops.relu(ops.concatenate([x, -x], axis=-1))
            x = ops.concatenate([r * tf.roll(r, -j, axis=-1) for j in range(1, config.nu + 1)], axis=-1)
        if config.norm == "unit":
            return tf.math.l2_normalize(x, axis=-1, epsilon=FLOOR**2)
        return x / ops.maximum(ops.sum(x, axis=-1, keepdims=True), FLOOR)


def _read(memory: Tensor, key: Tensor) -> Tensor:
    """Return the memory times a key, ``(batch, heads, width)``."""
    return ops.sum(memory * key[:, :, None], axis=-1)
