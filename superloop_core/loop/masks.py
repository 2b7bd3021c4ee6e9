"""Masks: frozen states, held outputs."""

from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import Tensor


def aligned(valid: Tensor, tensor: Tensor) -> Tensor:
    """``(batch,)`` -> ``(batch, 1, ...)``, of as many axes as ``tensor``."""
    return tf.reshape(valid, [-1] + [1] * (len(tensor.shape) - 1))


def held(recorded: Any, mask: Tensor) -> Any:
    """Repeat the last valid timestep's tensors ``(batch, timesteps, ...)`` where the mask is False."""
    valid_first = tf.argsort(tf.cast(mask, tf.int32), axis=1, direction="DESCENDING", stable=True)
    seen = tf.cumsum(tf.cast(mask, tf.int32), axis=1)  # valid timesteps so far
    latest = tf.gather(valid_first, tf.maximum(seen - 1, 0), axis=1, batch_dims=1)

    def held(tensor: Tensor) -> Tensor:
        repeated = tf.gather(tensor, latest, axis=1, batch_dims=1)
        started = tf.reshape(seen > 0, tf.concat([tf.shape(seen), [1] * (len(tensor.shape) - 2)], 0))
        return tf.where(started, repeated, tf.zeros_like(repeated))

    return tf.nest.map_structure(held, recorded)
