"""The training step: the optimizer, and one compiled update that leaves bad weights alone."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from superloop_plugin_lab.distributed import ALONE, Part, Workers, compute_gradients, parts_of
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.optimizers import make_optimizer

Step: TypeAlias = Callable[..., tuple[Any, Any, Any, Any]]


class Compiled(NamedTuple):
    """An optimizer, and the compiled step that updates a model with it."""

    optimizer: keras.optimizers.Optimizer
    step: Step


def new_optimizer(experiment: Experiment) -> keras.optimizers.Optimizer:
    """Make the optimizer that the config names, and its variables."""
    optimizer = make_optimizer(experiment.settings)
    optimizer.build(experiment.model.trainable_variables)
    return optimizer


def compiled_step(
    experiment: Experiment, optimizer: keras.optimizers.Optimizer, workers: Workers = ALONE
) -> Step:
    """Return the training step as a compiled function.

    It takes the inputs and the targets of a whole batch, and whether this worker was asked to stop. It
    returns the task's loss, the accuracy, whether the loss, the gradient and the updated weights are all
    finite, and whether any worker was asked to stop. If not all is finite, the weights stay as they were.
    Losses of the model, such as regularizers and those that a memory names, are added to the task's.

    With ``mixed_float16`` a gradient that is not finite lowers the scale of the loss, and counts as finite
    until the scale is below 1.

    Args:
        experiment: the model, its task and the settings of training.
        optimizer: has the variables of the model's weights.
        workers: each computes the gradient of its rows; the sum is the same on all, and so is the update.
    """
    settings, model, task = experiment.settings, experiment.model, experiment.task
    variables, weight = model.trainable_variables, getattr(task, "weight", len)
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def compute(part: Part) -> tuple[list[Any], list[Any]]:
        """Return loss, accuracy and the loss with those of the model; and the gradients of that."""
        outputs, loss, whole, gradients = compute_gradients(model, task.loss, optimizer, part)
        accuracy = tf.reduce_mean(tf.cast(task.correct(part.targets, outputs), "float32"))
        return [loss, tf.cast(part.rows, "float32") * accuracy, whole], gradients

    def join(figures: list[Any], gradients: list[Any], asked: Any) -> tuple[list[Any], list[Any], Any]:
        """Add up what all workers computed."""
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        sums = iter(workers.sum([*figures, tf.cast(asked, "float32"), *dense]))
        figures, asked = [next(sums) for _ in figures], next(sums) > 0
        return figures, [None if gradient is None else next(sums) for gradient in gradients], asked

    def clip(gradients: list[Any]) -> tuple[list[Any], Any]:
        """Return the clipped gradients, and their norm before; of scaled ones the limits are scaled."""
        scale = optimizer.scale_loss(1.0)
        if settings.clip_value:
            limit = settings.clip_value * scale
            gradients = [None if gradient is None else _cut(gradient, limit) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if settings.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, settings.clip_norm * scale, norm)
        return gradients, norm

    def apply(gradients: list[Any]) -> Any:
        before = [tf.identity(variable.value) for variable in variables]
        optimizer.apply(gradients, variables)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value)) for variable in variables])
        if scales:
            finite &= optimizer.dynamic_scale >= 1
        for variable, old in zip(variables, before, strict=True):
            variable.assign(tf.where(finite, variable.value, old))
        return finite

    def update(figures: list[Any], gradients: list[Any]) -> tuple[Any, Any, Any]:
        loss, accuracy, whole = figures
        gradients, norm = clip(gradients)
        sound = tf.math.is_finite(whole) & (scales | tf.math.is_finite(norm))
        return loss, accuracy, tf.cond(sound, lambda: apply(gradients), lambda: tf.constant(False))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step_alone(inputs: Mapping[str, Any], targets: Any) -> tuple[Any, Any, Any]:
        whole = Part(inputs=inputs, targets=targets, weight=1.0, rows=1.0, first_row=0)
        return update(*compute(whole))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step_of_part(part: Part, asked: Any) -> tuple[Any, Any, Any, Any]:
        figures, gradients, asked = join(*compute(part), asked)
        return *update(figures, gradients), asked

    def step(
        inputs: Mapping[str, Any], targets: np.ndarray, asked: bool = False
    ) -> tuple[Any, Any, Any, Any]:
        if workers.count == 1:
            return *step_alone(inputs, targets), asked
        (part,) = parts_of(inputs, targets, workers, weight=weight)
        return step_of_part(part, tf.constant(asked))  # type: ignore[no-any-return]

    if settings.accumulate == 1:
        return step

    sums = [tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False) for variable in variables]
    has_gradient: list[bool] = []  # of each variable, as tracing finds out

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def add(part: Part) -> list[Any]:
        figures, gradients = compute(part)
        has_gradient[:] = [gradient is not None for gradient in gradients]
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total.assign_add(tf.convert_to_tensor(gradient))
        return figures

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def finish(figures: list[Any], asked: Any) -> tuple[Any, Any, Any, Any]:
        gradients = [
            tf.identity(total) if has else None for total, has in zip(sums, has_gradient, strict=True)
        ]
        figures, gradients, asked = join(figures, gradients, asked)
        updated = update(figures, gradients)
        for total in sums:
            total.assign(tf.zeros_like(total))
        return *updated, asked

    def accumulated_step(
        inputs: Mapping[str, Any], targets: np.ndarray, asked: bool = False
    ) -> tuple[Any, Any, Any, Any]:
        """Add up the gradients of parts, one after the other, and update once.

        Keras's ``gradient_accumulation_steps`` is not used: it averages the weights, and advances the
        schedule, with each part.
        """
        parts = parts_of(inputs, targets, workers, size=settings.batch_size, weight=weight)
        figures = [sum(of_parts) for of_parts in zip(*map(add, parts), strict=True)]
        return finish(figures, tf.constant(asked))  # type: ignore[no-any-return]

    return accumulated_step


def _cut(gradient: Any, limit: Any) -> Any:
    """Cut the values of a gradient to a limit; one that is infinite stays, to be noticed."""
    gradient = tf.convert_to_tensor(gradient)
    return tf.where(tf.math.is_finite(gradient), tf.clip_by_value(gradient, -limit, limit), gradient)
