"""The training step: the optimizer, and one compiled update that leaves bad weights alone."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from superloop_plugin_lab import TrainConfig
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.optimizers import optimizer_class

Step: TypeAlias = Callable[[Mapping[str, Any], Any], tuple[Any, Any, Any]]


def new_optimizer(experiment: Experiment) -> keras.optimizers.Optimizer:
    """Make the optimizer that the config names, and its variables."""
    settings = experiment.settings
    optimizer = optimizer_class(settings.optimizer)(learning_rate(settings))
    optimizer.build(experiment.model.trainable_variables)
    return optimizer


def learning_rate(settings: TrainConfig) -> Any:
    """Return the learning rate: a number, or a schedule of Keras."""
    if settings.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps)
    return settings.learning_rate


def compiled_step(experiment: Experiment, optimizer: keras.optimizers.Optimizer) -> Step:
    """Return the training step as a compiled function.

    It takes a batch's inputs and targets, and returns the task's loss, the accuracy and whether the loss, the
    gradient and the updated weights are all finite. If they are not, the weights stay as they were. Losses of
    the model, such as regularizers and those that a memory names, are added to the task's.
    """
    settings, model, task = experiment.settings, experiment.model, experiment.task
    variables = model.trainable_variables

    def update(gradients: list[Any]) -> Any:
        before = [tf.identity(variable.value) for variable in variables]
        optimizer.apply(gradients, variables)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value)) for variable in variables])
        for variable, old in zip(variables, before, strict=True):
            variable.assign(tf.where(finite, variable.value, old))
        return finite

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(inputs: Mapping[str, Any], targets: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            results = model(inputs, training=True)
            loss = task.loss(targets, results)
            whole = tf.add_n([loss, *(tf.cast(added, loss.dtype) for added in model.losses)])
        gradients, norm = tf.clip_by_global_norm(tape.gradient(whole, variables), settings.clip_norm)
        accuracy = tf.reduce_mean(tf.cast(task.correct(targets, results), "float32"))
        sound = tf.math.is_finite(whole) & tf.math.is_finite(norm)
        finite = tf.cond(sound, lambda: update(gradients), lambda: tf.constant(False))
        return loss, accuracy, finite

    compiled: Step = step
    return compiled
