"""The interface vector."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core.builder import Tensor
from superloop_plugin_dnc.settings import DNCConfig


class Interface(NamedTuple):
    """The parts of the interface vector, in the paper's letters, squashed to their ranges."""

    k_r: Tensor  # read keys (batch, read_heads, width)
    beta_r: Tensor  # read strengths (batch, read_heads), >= 1
    k_w: Tensor  # write key (batch, 1, width)
    beta_w: Tensor  # write strength (batch, 1), >= 1
    e: Tensor  # erase vector (batch, width), in [0, 1]
    v: Tensor  # write vector (batch, width)
    f: Tensor  # free gates (batch, read_heads), in [0, 1]
    g_a: Tensor  # allocation gate (batch, 1), in [0, 1]
    g_w: Tensor  # write gate (batch, 1), in [0, 1]
    pi: Tensor | None  # read modes (batch, read_heads, 3): backward, forward, content; None without links


def interface(xi: Tensor, config: DNCConfig) -> Interface:
    """Split an interface vector ``(batch, control_size)`` into its parts.

    ::

        strengths  = oneplus(.) = 1 + log(1 + exp(.))
        erase      = sigmoid(.), and all gates
        read modes = softmax(.), for each head
        keys and the write vector stay as they are
    """
    sizes = config.interface
    part: Any = dict(zip(sizes, tf.split(xi, list(sizes.values()), axis=-1), strict=True))
    heads, pi = config.read_heads, None
    if "read_modes" in part:
        pi = tf.nn.softmax(tf.reshape(part["read_modes"], [-1, heads, 3]))
    return Interface(
        k_r=tf.reshape(part["read_keys"], [-1, heads, config.width]),
        beta_r=1 + tf.math.softplus(part["read_strengths"]),
        k_w=part["write_key"][:, None],
        beta_w=1 + tf.math.softplus(part["write_strength"]),
        e=tf.sigmoid(part["erase"]),
        v=part["write_vector"],
        f=tf.sigmoid(part["free_gates"]),
        g_a=tf.sigmoid(part["allocation_gate"]),
        g_w=tf.sigmoid(part["write_gate"]),
        pi=pi,
    )
