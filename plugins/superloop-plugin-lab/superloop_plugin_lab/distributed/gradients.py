"""The gradients of a part of a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from superloop_core.builder import rows_from
from superloop_plugin_lab.distributed.parts import Part


class Gradients(NamedTuple):
    """The results of a part; summed over all parts, loss, whole and slopes are those of the batch."""

    outputs: Any  # of the model
    loss: Any  # times the weight of the part, a scalar
    whole: Any  # the same with the losses that the model adds, such as regularizers
    slopes: list[Any]  # of ``whole`` by each trainable weight, scaled by the optimizer; None: it has none


def compute_gradients(
    model: keras.Model,
    loss: Callable[[Any, Any], Any],
    optimizer: keras.optimizers.Optimizer,
    part: Part,
) -> Gradients:
    """Compute a part of a batch in training, and its gradients.

    Args:
        model: gets the part's inputs.
        loss: ``loss(targets, outputs)``, a scalar.
        optimizer: scales the loss in half precision.
        part: some rows.
    """
    with tf.GradientTape() as tape, rows_from(part.first_row):
        outputs = model(part.inputs, training=True)
        value = loss(part.targets, outputs)
        added = [tf.cast(part.rows, value.dtype) * tf.cast(one, value.dtype) for one in model.losses]
        value *= tf.cast(part.weight, value.dtype)
        whole = tf.add_n([value, *added])
        scaled = optimizer.scale_loss(whole)
    return Gradients(outputs, value, whole, tape.gradient(scaled, model.trainable_variables))
