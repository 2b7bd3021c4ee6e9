"""Where the first number that is not finite came from."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.task import Batch, Task


def find_not_finite(layer: Superloop, model: keras.Model, task: Task, batch: Batch) -> str:
    """Name the first tensor, in the order of computing, that is not finite for this batch.

    The sequences come first, then every trace by timestep, then the loss, then the gradients, then the
    weights.
    """
    for name, array in batch.inputs.items():
        if not np.isfinite(array).all():
            return f"the task's {name}"
    traces = traced(layer, batch)
    if bad := _first_bad(traces):
        timestep, names = bad
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


def traced(layer: Superloop, batch: Batch) -> dict[str, np.ndarray]:
    """Return every trace of a batch, each ``(batch, timesteps, ...)``, by a copy of the layer."""
    config = layer.get_config() | {"traces": "all", "name": None}
    copy = Superloop.from_config(config)
    copy.build(None)
    copy.set_weights(layer.get_weights())
    run = tf.function(lambda inputs: copy(inputs, training=False), autograph=False)
    results = run({name: tf.constant(array) for name, array in batch.inputs.items()})
    return {name: tensor.numpy() for name, tensor in results.items()}


def _first_bad(traces: dict[str, np.ndarray]) -> tuple[int, list[str]] | None:
    """The earliest timestep at which a trace is not finite, and which are."""
    first: dict[str, int] = {}
    for name, trace in traces.items():
        bad: Any = ~np.isfinite(trace).all(axis=tuple(i for i in range(trace.ndim) if i != 1))
        if bad.any():
            first[name] = int(bad.argmax())
    if not first:
        return None
    timestep = min(first.values())
    return timestep, sorted(name for name, at in first.items() if at == timestep)
