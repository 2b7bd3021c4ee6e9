"""The interface vector."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core.builder import Tensor
from superloop_plugin_dnc.settings import DNCConfig


class Interface(NamedTuple):
    """The parts of the interface vector, in the paper's letters, squashed to their ranges."""

    k_r: Tensor  # read keys (batch, read_heads, width)
    beta_r: Tensor  # read strengths (batch, read_heads), >= 1, or >= 0 by softplus
    k_w: Tensor  # write keys (batch, write_heads, width)
    beta_w: Tensor  # write strengths (batch, write_heads), as the read strengths
    e: Tensor  # erase vectors (batch, write_heads, width), in [0, 1]
    v: Tensor  # write vectors (batch, write_heads, width)
    f: Tensor  # free gates (batch, read_heads), in [0, 1]
    g_a: Tensor  # allocation gates (batch, write_heads), in [0, 1]
    g_w: Tensor  # write gates (batch, write_heads), in [0, 1]
    pi: Tensor | None  # read modes (batch, read_heads, modes); None without links
    m_r: Tensor | None  # read masks (batch, read_heads, width), in [0, 1]; None: no masks
    m_w: Tensor | None  # write masks (batch, write_heads, width), in [0, 1]
    s: Tensor | None  # sharpness (batch, read_heads, 2 write_heads), >= 1; None: not sharpened


def interface(xi: Tensor, config: DNCConfig) -> Interface:
    """Split an interface vector ``(batch, control_size)`` into its parts.

    ::

        strengths  = oneplus(.) = 1 + log(1 + exp(.)), or without the 1
        erase      = sigmoid(.), and all gates and masks
        read modes = softmax(.), for each head
        sharpness  = oneplus(.)
        keys and the write vectors stay as they are

    With ``clip`` = c all is clipped to [-c, c] before.
    """
    if config.clip:
        xi = tf.clip_by_value(xi, -config.clip, config.clip)
    sizes = config.interface
    part: Any = dict(zip(sizes, tf.split(xi, list(sizes.values()), axis=-1), strict=True))
    reads, writes, width = config.read_heads, config.write_heads, config.width
    least = 1 if config.strengths == "oneplus" else 0

    def heads(name: str, count: int, size: int) -> Tensor:
        return tf.reshape(part[name], [-1, count, size])

    return Interface(
        k_r=heads("read_keys", reads, width),
        beta_r=least + tf.math.softplus(part["read_strengths"]),
        k_w=heads("write_key", writes, width),
        beta_w=least + tf.math.softplus(part["write_strength"]),
        e=tf.sigmoid(heads("erase", writes, width)),
        v=heads("write_vector", writes, width),
        f=tf.sigmoid(part["free_gates"]),
        g_a=tf.sigmoid(part["allocation_gate"]),
        g_w=tf.sigmoid(part["write_gate"]),
        pi=tf.nn.softmax(heads("read_modes", reads, len(config.read_modes))) if config.read_modes else None,
        m_r=tf.sigmoid(heads("read_masks", reads, width)) if config.masked else None,
        m_w=tf.sigmoid(heads("write_masks", writes, width)) if config.masked else None,
        s=1 + tf.math.softplus(heads("sharpness", reads, 2 * writes)) if config.sharpened else None,
    )
