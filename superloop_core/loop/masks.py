"""Masks over timesteps: frozen states, held outputs."""

from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor


def freeze(valid: Tensor, new: State, old: State) -> State:
    """Return the new state where ``valid``, ``(batch,)`` of bool, is True, and the old one elsewhere."""

    def choose(new: Tensor, old: Tensor) -> Tensor:
        aligned = tf.reshape(valid, [-1] + [1] * (len(new.shape) - 1))  # (batch, 1, ...)
        return tf.where(aligned, new, old)

    return tf.nest.map_structure(choose, new, old)


def hold(tensors: Any, mask: Tensor) -> Any:
    """Repeat the last valid timestep's tensors where the mask is False; zeros before the first one.

    Args:
        tensors: a nest, each ``(batch, timesteps, ...)``.
        mask: ``(batch, timesteps)`` of bool.
    """
    valid_first = tf.argsort(tf.cast(mask, tf.int32), axis=1, direction="DESCENDING", stable=True)
    count = tf.cumsum(tf.cast(mask, tf.int32), axis=1)  # valid timesteps so far: (batch, timesteps)
    latest = tf.gather(valid_first, tf.maximum(count - 1, 0), axis=1, batch_dims=1)

    def held(tensor: Tensor) -> Tensor:
        repeated = tf.gather(tensor, latest, axis=1, batch_dims=1)
        started = tf.reshape(count > 0, tf.concat([tf.shape(count), [1] * (len(tensor.shape) - 2)], 0))
        return tf.where(started, repeated, tf.zeros_like(repeated))

    return tf.nest.map_structure(held, tensors)
