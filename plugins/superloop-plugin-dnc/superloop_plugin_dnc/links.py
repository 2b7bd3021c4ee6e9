"""Temporal links: which slot was written after which."""

import tensorflow as tf

from superloop_core.builder import Tensor
from superloop_plugin_dnc.content import among_largest


def next_links(
    link: Tensor, precedence: Tensor, write_weights: Tensor, top_k: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the links and the precedence after a write.

    ::

        L'_ij = (1 - w_i - w_j) L_ij + w_i p_j        0 on the diagonal
        p'    = (1 - sum_i w_i) p + w

    ``L_ij`` tells how much slot i was written after slot j, ``p_j`` how much j was written last. Sparse, each
    row of L' and p' keep their ``top_k`` largest entries, of equals those that come first; the others are 0,
    and get no gradient.

    Args:
        link: ``(batch, slots, slots)``.
        precedence: ``(batch, slots)``.
        write_weights: ``(batch, slots)``.
        top_k: entries that are kept; 0: all.

    Returns:
        the same two; no row or column sums to more than 1.
    """
    # Products of thin matrices, since their gradients are products too, and not sums over all slots.
    w, ones = write_weights, tf.ones_like(write_weights)
    kept = tf.matmul(tf.stack([1 - w, ones], axis=2), tf.stack([ones, -w], axis=1))  # 1 - w_i - w_j
    added = tf.matmul(w[:, :, None], precedence[:, None])
    others = 1 - tf.eye(link.shape[1], dtype=link.dtype)
    link = others * (kept * link + added)
    precedence = (1 - tf.reduce_sum(w, axis=-1, keepdims=True)) * precedence + w
    if top_k:
        link = tf.where(among_largest(link, top_k), link, 0)
        precedence = tf.where(among_largest(precedence, top_k), precedence, 0)
    return link, precedence


def follow(link: Tensor, read_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slots written before those read last, ``L^T w``, and after them, ``L w``.

    All of them ``(batch, read_heads, slots)``.
    """
    return tf.matmul(read_weights, link), tf.matmul(read_weights, link, transpose_b=True)
