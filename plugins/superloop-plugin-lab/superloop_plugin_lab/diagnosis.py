"""Where the first number that is not finite came from."""

import keras
import numpy as np
import tensorflow as tf

from superloop_core import Superloop, SuperloopError
from superloop_core.task import Batch, Task
from superloop_plugin_lab.tracing import compute_traces


class TrainingError(SuperloopError):
    """A loss, a gradient or a weight is not finite."""


def find_not_finite(layer: Superloop, model: keras.Model, task: Task, batch: Batch) -> str:
    """Name the first tensor that is not finite for a batch.

    They are searched in the order of computing: the sequences, the traces by timestep, the loss, the
    gradients, and last the updated weights.
    """
    for name, array in batch.inputs.items():
        if not np.isfinite(array).all():
            return f"the task's {name}"
    if found := _first_not_finite(compute_traces(layer, batch)):
        timestep, names = found
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


def _first_not_finite(traces: dict[str, np.ndarray]) -> tuple[int, list[str]] | None:
    """Return the earliest timestep at which a trace is not finite, and the names of those that are not."""
    first: dict[str, int] = {}
    for name, trace in traces.items():
        others = tuple(axis for axis in range(trace.ndim) if axis != 1)
        not_finite = ~np.isfinite(trace).all(axis=others)  # (timesteps,)
        if not_finite.any():
            first[name] = int(not_finite.argmax())
    if not first:
        return None
    timestep = min(first.values())
    return timestep, sorted(name for name, at in first.items() if at == timestep)
