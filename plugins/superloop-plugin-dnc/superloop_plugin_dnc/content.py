"""Addressing by content."""

import tensorflow as tf

from superloop_core.builder import Tensor

EPSILON = 1e-6  # added to squared lengths: vectors much shorter than 0.001 are similar to nothing


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor, top_k: int = 0) -> Tensor:
    """Weigh slots by their similarity to keys.

    ::

        similarity_i = k . M_i / sqrt((|k|^2 + 1e-6) (|M_i|^2 + 1e-6))       in [-1, 1]
        weights      = softmax(strength * similarity)

    A key or a slot of zeros is equally similar to everything, namely 0.

    Args:
        memory: ``(batch, slots, width)``.
        keys: ``(batch, heads, width)``.
        strengths: ``(batch, heads)``.
        top_k: number of slots with a weight, the most similar; among equals, the first ones. 0: all.

    Returns:
        ``(batch, heads, slots)``; each sums to 1.
    """
    key_size = tf.reduce_sum(keys * keys, axis=-1) + EPSILON  # (batch, heads)
    slot_size = tf.reduce_sum(memory * memory, axis=-1) + EPSILON  # (batch, slots)
    scale = (strengths * tf.math.rsqrt(key_size))[:, :, None] * tf.math.rsqrt(slot_size)[:, None]
    scores = tf.matmul(keys, memory, transpose_b=True) * scale  # (batch, heads, slots)
    if top_k:
        scores = tf.where(among_largest(scores, top_k), scores, scores.dtype.min)
    return tf.nn.softmax(scores)


def among_largest(x: Tensor, k: int) -> Tensor:
    """Return a mask of the k largest entries of the last axis; among equals, the first ones."""
    indices = tf.math.top_k(x, k).indices  # (..., k)
    return tf.reduce_any(indices[..., None] == tf.range(x.shape[-1]), axis=-2)
