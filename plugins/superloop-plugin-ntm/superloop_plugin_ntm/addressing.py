"""Where the heads of a Neural Turing Machine look: all heads at once."""

from typing import NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core.builder import Tensor

# Added to squared lengths, so that a vector of zeros has a cosine, 0, and the cosine a gradient. A key's
# length says nothing, and keys of zeros are common (an untrained network that is fed zeros): its floor keeps
# the gradient small. A row's is lower, so that rows of a memory of 1e-6 are still like their keys.
KEY_FLOOR, ROW_FLOOR = 1e-6, 1e-16
# Added to weights, so that those of 0 have a logarithm, and a gradient that float32 can hold.
WEIGHT_FLOOR = 1e-30


class Heads(NamedTuple):
    """What all heads are told, in the paper's names."""

    k: Tensor  # (batch, heads, width)
    beta: Tensor  # (batch, heads, 1), at least 0
    g: Tensor  # (batch, heads, 1), from 0 to 1
    s: Tensor  # (batch, heads, shifts), of sum 1: from -shift_range to shift_range
    gamma: Tensor  # (batch, heads, 1), at least 1


def address(heads: Heads, memory: Tensor, w: Tensor) -> Tensor:
    """Return the weightings of all heads, of which ``w`` were those before, ``(batch, heads, slots)``."""
    w_c = tf.nn.softmax(heads.beta * cosine(heads.k, memory))
    w_g = heads.g * w_c + (1 - heads.g) * w
    return sharpen(shift(w_g, heads.s), heads.gamma)


def cosine(k: Tensor, memory: Tensor) -> Tensor:
    """Compare keys ``(batch, heads, width)`` and rows: ``(batch, heads, slots)``; 0 for a zero vector."""
    of_keys = ops.rsqrt(ops.sum(k * k, axis=-1, keepdims=True) + KEY_FLOOR)
    of_rows = ops.rsqrt(ops.sum(memory * memory, axis=-1) + ROW_FLOOR)  # (batch, slots)
    return tf.matmul(k * of_keys, memory, transpose_b=True) * of_rows[:, None]


def shift(w: Tensor, s: Tensor) -> Tensor:
    """Turn weightings ``(batch, heads, slots)``, circularly, by each shift with its share."""
    reach = (s.shape[-1] - 1) // 2
    turned = [turn(w, by) * s[..., by + reach, None] for by in range(-reach, reach + 1)]
    return sum(turned[1:], turned[0])


def turn(w: Tensor, by: int) -> Tensor:
    """Move what is at slot i to slot i + by, circularly."""
    cut = -by % w.shape[-1]
    return ops.concatenate([w[..., cut:], w[..., :cut]], axis=-1) if cut else w


def sharpen(w: Tensor, gamma: Tensor) -> Tensor:
    """Return w^gamma / sum w^gamma, by logarithms: a softmax, whatever underflows."""
    return tf.nn.softmax(gamma * ops.log(w + WEIGHT_FLOOR))
