"""Where the first number that is not finite came from."""

import numpy as np
import tensorflow as tf

from superloop_core import SuperloopError
from superloop_core.layer import first_not_finite
from superloop_core.task import Batch, Task
from superloop_plugin_lab.network import Network
from superloop_plugin_lab.tracing import compute_traces


class TrainingError(SuperloopError):
    """A loss, a gradient or a weight is not finite."""


def find_not_finite(network: Network, task: Task, batch: Batch) -> str:
    """Name the first tensor that is not finite for a batch.

    They are searched in the order of computing: the sequences, the traces by timestep, the loss, the
    gradients, and last the updated weights.
    """
    model = network.model
    for name, array in batch.inputs.items():
        if not np.isfinite(array).all():
            return f"the task's {name}"
    if found := first_not_finite(compute_traces(network, batch)):
        timestep, names, _ = found
        return f"{', '.join(names)} at timestep {timestep}"
    with tf.GradientTape() as tape:
        loss = task.loss(batch.targets, model(dict(batch.inputs), training=True))
    if not np.isfinite(float(loss)):
        return "the loss"
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if not np.isfinite(gradient.numpy()).all():
            return f"the gradient of {variable.path}"
    if not np.isfinite(float(tf.linalg.global_norm(gradients))):
        return "the norm of all gradients"
    return "the weights after the update"
