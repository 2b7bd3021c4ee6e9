"""Addressing of a Neural Turing Machine, for all heads at once."""

from typing import NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core.builder import Tensor

# Added to squared lengths, so that the cosine of a zero vector is 0 and has a gradient. Keys of zeros are
# common (an untrained network that is fed zeros), so their floor is high, which keeps the gradient small. The
# floor of slots is low, so that slots of 1e-6 still match their keys.
KEY_FLOOR, SLOT_FLOOR = 1e-6, 1e-16
# Added to weights, so that a weight of 0 has a logarithm, and a gradient within the range of float32.
WEIGHT_FLOOR = 1e-30


class Heads(NamedTuple):
    """The parameters of all heads, by the paper's names."""

    k: Tensor  # (batch, heads, width)
    beta: Tensor  # (batch, heads, 1), at least 0
    g: Tensor  # (batch, heads, 1), from 0 to 1
    s: Tensor  # (batch, heads, shifts), from -shift_range to shift_range; sums to 1
    gamma: Tensor  # (batch, heads, 1), at least 1


def address(heads: Heads, memory: Tensor, w: Tensor) -> Tensor:
    """Return the next weightings of all heads; ``w`` are the previous ones, ``(batch, heads, slots)``."""
    w_c = tf.nn.softmax(heads.beta * cosine(heads.k, memory))
    w_g = heads.g * w_c + (1 - heads.g) * w
    return sharpen(shift(w_g, heads.s), heads.gamma)


def cosine(k: Tensor, memory: Tensor) -> Tensor:
    """Return the cosines of keys ``(batch, heads, width)`` and slots, ``(batch, heads, slots)``."""
    inverse_k = ops.rsqrt(ops.sum(k * k, axis=-1, keepdims=True) + KEY_FLOOR)
    inverse_m = ops.rsqrt(ops.sum(memory * memory, axis=-1) + SLOT_FLOOR)  # (batch, slots)
    return tf.matmul(k * inverse_k, memory, transpose_b=True) * inverse_m[:, None]


def shift(w: Tensor, s: Tensor) -> Tensor:
    """Convolve weightings ``(batch, heads, slots)`` with the shifts, circularly."""
    reach = (s.shape[-1] - 1) // 2
    rotated = [rotate(w, by) * s[..., by + reach, None] for by in range(-reach, reach + 1)]
    return sum(rotated[1:], rotated[0])


def rotate(w: Tensor, by: int) -> Tensor:
    """Move the weight of slot i to slot i + by, circularly."""
    cut = -by % w.shape[-1]
    return ops.concatenate([w[..., cut:], w[..., :cut]], axis=-1) if cut else w


def sharpen(w: Tensor, gamma: Tensor) -> Tensor:
    """Return w^gamma / sum w^gamma, as a softmax of logarithms: no underflow gives NaN."""
    return tf.nn.softmax(gamma * ops.log(w + WEIGHT_FLOOR))
