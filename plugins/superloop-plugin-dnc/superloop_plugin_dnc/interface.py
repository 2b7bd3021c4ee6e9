"""The interface vector."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core.builder import Tensor
from superloop_plugin_dnc import DNCConfig


class Interface(NamedTuple):
    """What the controller tells the memory, squashed to its ranges."""

    read_keys: Tensor  # (batch, read_heads, width)
    read_strengths: Tensor  # (batch, read_heads), 1 at least
    write_key: Tensor  # (batch, 1, width)
    write_strength: Tensor  # (batch, 1), 1 at least
    erase: Tensor  # (batch, width), in [0, 1]
    write_vector: Tensor  # (batch, width)
    free_gates: Tensor  # (batch, read_heads), in [0, 1]
    allocation_gate: Tensor  # (batch, 1), in [0, 1]
    write_gate: Tensor  # (batch, 1), in [0, 1]
    read_modes: Tensor | None  # (batch, read_heads, 3): backward, forward, content; None without links


def interface(control: Tensor, config: DNCConfig) -> Interface:
    """Cut a control ``(batch, control_size)`` into its parts.

    ::

        strengths  = oneplus(.) = 1 + log(1 + exp(.))
        erase      = sigmoid(.), and so all gates
        read modes = softmax(.), of each head
        keys, and the vector to write, as they are
    """
    sizes = config.interface
    parts: Any = dict(zip(sizes, tf.split(control, list(sizes.values()), axis=-1), strict=True))
    modes = None
    if "read_modes" in parts:
        modes = tf.nn.softmax(tf.reshape(parts["read_modes"], [-1, config.read_heads, 3]))
    return Interface(
        read_keys=tf.reshape(parts["read_keys"], [-1, config.read_heads, config.width]),
        read_strengths=1 + tf.math.softplus(parts["read_strengths"]),
        write_key=parts["write_key"][:, None],
        write_strength=1 + tf.math.softplus(parts["write_strength"]),
        erase=tf.sigmoid(parts["erase"]),
        write_vector=parts["write_vector"],
        free_gates=tf.sigmoid(parts["free_gates"]),
        allocation_gate=tf.sigmoid(parts["allocation_gate"]),
        write_gate=tf.sigmoid(parts["write_gate"]),
        read_modes=modes,
    )
