"""Temporal links: which slot was written after which."""

from typing import NamedTuple

import tensorflow as tf

from superloop_core.builder import Tensor
from superloop_plugin_dnc.content import among_largest

FLOOR = 1e-6  # added to weights before they are sharpened


class Links(NamedTuple):
    """The order of the writes."""

    link: Tensor  # L (batch, slots, slots): L_ij is the degree to which i was written right after j
    precedence: Tensor  # p (batch, slots): the degree to which a slot was written last


def next_links(links: Links, write_weights: Tensor, top_k: int = 0) -> Links:
    """Return the links after a write.

    ::

        L'_ij = (1 - w_i - w_j) L_ij + w_i p_j        0 on the diagonal
        p'    = (1 - sum_i w_i) p + w

    Sparse, each row of L' and p' keep their ``top_k`` largest entries, among equals the first ones; the
    others are 0, and get no gradient.

    Args:
        links: before the write; no row or column sums to more than 1, and so after it.
        write_weights: w, ``(batch, slots)``.
        top_k: number of entries to keep; 0: all.
    """
    link, precedence = links
    # Products of thin matrices: their gradients are products as well, and not sums over all slots.
    w, ones = write_weights, tf.ones_like(write_weights)
    decay = tf.matmul(tf.stack([1 - w, ones], axis=2), tf.stack([ones, -w], axis=1))  # 1 - w_i - w_j
    added = tf.matmul(w[:, :, None], precedence[:, None])
    others = 1 - tf.eye(link.shape[1], dtype=link.dtype)
    link = others * (decay * link + added)
    precedence = (1 - tf.reduce_sum(w, axis=-1, keepdims=True)) * precedence + w
    if top_k:
        link = tf.where(among_largest(link, top_k), link, 0)
        precedence = tf.where(among_largest(precedence, top_k), precedence, 0)
    return Links(link, precedence)


def follow(links: Links, read_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slots written before those read last, ``L^T w``, and after them, ``L w``.

    Args:
        links: the order of the writes.
        read_weights: w, ``(batch, read_heads, slots)``.

    Returns:
        both ``(batch, read_heads, slots)``.
    """
    return tf.matmul(read_weights, links.link), tf.matmul(read_weights, links.link, transpose_b=True)


def sharpen(weights: Tensor, sharpness: Tensor) -> Tensor:
    """Return (w + 1e-6)^s / sum (w + 1e-6)^s; weights of zeros become equal weights.

    Args:
        weights: w, ``(batch, heads, slots)``.
        sharpness: s, ``(batch, heads)``.
    """
    return tf.nn.softmax(sharpness[:, :, None] * tf.math.log(tf.nn.relu(weights) + FLOOR))
