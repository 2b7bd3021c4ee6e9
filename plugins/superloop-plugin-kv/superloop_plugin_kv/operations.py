"""What several memories compute: features of keys, a read, and a limit."""

from typing import Any

import tensorflow as tf
from keras import ops

from superloop_core.builder import Tensor

FLOOR = 1e-6  # of the length or sum that a key is divided by; a key of zeros stays zeros
GATE_BIAS = 4.0  # a gate whose control is 0 keeps 98% of the memory


def features(x: Tensor, feature_map: str, nu: int = 1, norm: str = "unit") -> Tensor:
    """Map and normalize keys: ``(..., key_size)`` to ``(..., key_features)``.

    Args:
        x: keys.
        feature_map: ``linear``, ``silu``, ``elu`` or ``dpfp``.
        nu: number of neighbours in ``dpfp``.
        norm: ``unit``, a length of 1, or ``sum``, a sum of 1.
    """
    if feature_map == "silu":
        x = ops.silu(x)
    elif feature_map == "elu":
        x = ops.elu(x) + 1
    elif feature_map == "dpfp":
        r = ops.relu(ops.concatenate([x, -x], axis=-1))
        x = ops.concatenate([r * tf.roll(r, -j, axis=-1) for j in range(1, nu + 1)], axis=-1)
    if norm == "unit":
        return tf.math.l2_normalize(x, axis=-1, epsilon=FLOOR**2)
    return x / ops.maximum(ops.sum(x, axis=-1, keepdims=True), FLOOR)


def read_of(memory: Tensor, key: Tensor) -> Tensor:
    """Return memories ``(batch, heads, width, key_size)`` times a key each, ``(batch, heads, width)``."""
    return ops.sum(memory * key[:, :, None], axis=-1)


def limited(memory: Tensor, limit: Any) -> Tensor:
    """Scale matrices ``(batch, heads, rows, columns)`` longer than ``limit`` back to it.

    The length is that of all numbers of a matrix as one vector. Shorter matrices stay as they are.
    """
    square = ops.sum(ops.square(memory), axis=(-2, -1), keepdims=True)
    longer = square > limit**2
    return memory * ops.where(longer, limit / ops.sqrt(ops.where(longer, square, 1)), 1)
