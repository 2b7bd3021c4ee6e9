"""The training step: the optimizer, and one compiled update that leaves bad weights alone."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import keras
import tensorflow as tf

from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.optimizers import make_optimizer

Step: TypeAlias = Callable[[Mapping[str, Any], Any], tuple[Any, Any, Any]]


class Compiled(NamedTuple):
    """An optimizer, and the compiled step that updates a model with it."""

    optimizer: keras.optimizers.Optimizer
    step: Step


def new_optimizer(experiment: Experiment) -> keras.optimizers.Optimizer:
    """Make the optimizer that the config names, and its variables."""
    optimizer = make_optimizer(experiment.settings)
    optimizer.build(experiment.model.trainable_variables)
    return optimizer


def compiled_step(experiment: Experiment, optimizer: keras.optimizers.Optimizer) -> Step:
    """Return the training step as a compiled function.

    It takes a batch's inputs and targets, and returns the task's loss, the accuracy and whether the loss, the
    gradient and the updated weights are all finite. If they are not, the weights stay as they were. Losses of
    the model, such as regularizers and those that a memory names, are added to the task's.

    With ``mixed_float16`` a gradient that is not finite lowers the scale of the loss, and counts as finite
    until the scale is below 1.
    """
    settings, model, task = experiment.settings, experiment.model, experiment.task
    variables = model.trainable_variables
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def compute(inputs: Mapping[str, Any], targets: Any) -> tuple[Any, Any, Any, list[Any]]:
        """Return loss, accuracy, the loss with those of the model, and the gradients of the scaled loss."""
        with tf.GradientTape() as tape:
            results = model(inputs, training=True)
            loss = task.loss(targets, results)
            whole = tf.add_n([loss, *(tf.cast(added, loss.dtype) for added in model.losses)])
            scaled = optimizer.scale_loss(whole)
        accuracy = tf.reduce_mean(tf.cast(task.correct(targets, results), "float32"))
        return loss, accuracy, whole, tape.gradient(scaled, variables)

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

    def update(gradients: list[Any], whole: Any) -> Any:
        gradients, norm = clip(gradients)
        sound = tf.math.is_finite(whole) & (scales | tf.math.is_finite(norm))
        return tf.cond(sound, lambda: apply(gradients), lambda: tf.constant(False))

    if settings.accumulate > 1:
        return _accumulated(compute, update, variables, settings.batch_size)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(inputs: Mapping[str, Any], targets: Any) -> tuple[Any, Any, Any]:
        loss, accuracy, whole, gradients = compute(inputs, targets)
        return loss, accuracy, update(gradients, whole)

    compiled: Step = step
    return compiled


def _accumulated(
    compute: Callable[..., Any], update: Callable[..., Any], variables: list[Any], batch_size: int
) -> Step:
    """Return a step that adds up the gradients of its batches, one after the other, and updates once.

    Keras's ``gradient_accumulation_steps`` is not used: it averages the weights, and advances the schedule,
    with each batch.
    """
    sums = [tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False) for variable in variables]
    has_gradient: list[bool] = []  # of each variable, as tracing finds out

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def add(inputs: Mapping[str, Any], targets: Any, share: Any) -> tuple[Any, Any, Any]:
        loss, accuracy, whole, gradients = compute(inputs, targets)
        has_gradient[:] = [gradient is not None for gradient in gradients]
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total.assign_add(tf.cast(share, total.dtype) * tf.convert_to_tensor(gradient))
        return tuple(tf.cast(share, figure.dtype) * figure for figure in (loss, accuracy, whole))  # type: ignore[return-value]

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def finish(whole: Any) -> Any:
        gradients = [
            tf.identity(total) if has else None for total, has in zip(sums, has_gradient, strict=True)
        ]
        finite = update(gradients, whole)
        for total in sums:
            total.assign(tf.zeros_like(total))
        return finite

    def step(inputs: Mapping[str, Any], targets: Any) -> tuple[Any, Any, Any]:
        figures = []
        for begin in range(0, len(targets), batch_size):
            rows = slice(begin, begin + batch_size)
            share = tf.constant(len(targets[rows]) / len(targets))
            figures.append(add({name: array[rows] for name, array in inputs.items()}, targets[rows], share))
        loss, accuracy, whole = map(sum, zip(*figures, strict=True))
        return loss, accuracy, finish(whole)

    return step


def _cut(gradient: Any, limit: Any) -> Any:
    """Cut the values of a gradient to a limit; one that is infinite stays, to be noticed."""
    gradient = tf.convert_to_tensor(gradient)
    return tf.where(tf.math.is_finite(gradient), tf.clip_by_value(gradient, -limit, limit), gradient)
