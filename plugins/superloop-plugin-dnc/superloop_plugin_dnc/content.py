"""Addressing by content."""

import tensorflow as tf

from superloop_core.builder import Tensor

EPSILON = 1e-6  # added to squared lengths: vectors much shorter than 0.001 are similar to nothing


def content_weights(
    memory: Tensor, keys: Tensor, strengths: Tensor, top_k: int = 0, masks: Tensor | None = None
) -> Tensor:
    """Weigh slots by their similarity to keys.

    ::

        similarity_i = k . M_i / sqrt((|k|^2 + 1e-6) (|M_i|^2 + 1e-6))       in [-1, 1]
        weights      = softmax(strength * similarity)

    With masks m, the similarity is that of k * m and M_i * m. A key or a slot of zeros, also after the mask,
    is equally similar to everything, namely 0.

    Args:
        memory: ``(batch, slots, width)``.
        keys: ``(batch, heads, width)``.
        strengths: ``(batch, heads)``.
        top_k: number of slots with a weight, the most similar; among equals, the first ones. 0: all.
        masks: ``(batch, heads, width)``, in [0, 1]; None: ones.

    Returns:
        ``(batch, heads, slots)``; each sums to 1.
    """
    scores = similarity(memory, keys, strengths, masks)
    if top_k:
        scores = tf.where(among_largest(scores, top_k), scores, scores.dtype.min)
    return tf.nn.softmax(scores)


def similarity(memory: Tensor, keys: Tensor, strengths: Tensor, masks: Tensor | None = None) -> Tensor:
    """Return the similarities of :func:`content_weights` times the strengths, ``(batch, heads, slots)``."""
    squares = tf.reduce_sum(memory * memory, axis=-1)[:, None]  # (batch, 1, slots)
    if masks is not None:
        keys = keys * masks
        squares = tf.matmul(masks * masks, memory * memory, transpose_b=True)  # (batch, heads, slots)
    key_size = tf.reduce_sum(keys * keys, axis=-1) + EPSILON  # (batch, heads)
    scale = (strengths * tf.math.rsqrt(key_size))[:, :, None] * tf.math.rsqrt(squares + EPSILON)
    compared = keys if masks is None else keys * masks
    return tf.matmul(compared, memory, transpose_b=True) * scale


def among_largest(x: Tensor, k: int) -> Tensor:
    """Return a mask of the k largest entries of the last axis; among equals, the first ones."""
    indices = tf.math.top_k(x, k).indices  # (..., k)
    return tf.reduce_any(indices[..., None] == tf.range(x.shape[-1]), axis=-2)
