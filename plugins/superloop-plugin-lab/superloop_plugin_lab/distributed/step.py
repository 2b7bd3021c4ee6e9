"""The training step of many workers, for a program of one's own."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_plugin_lab.distributed.gradients import compute_gradients
from superloop_plugin_lab.distributed.models import check_not_trained, give_own_seeds, not_trained
from superloop_plugin_lab.distributed.parts import Part, Weight, parts_of
from superloop_plugin_lab.distributed.workers import Workers


def training_step(
    model: keras.Model,
    loss: Callable[[Any, Any], Any],
    optimizer: keras.optimizers.Optimizer,
    workers: Workers,
    *,
    weight: Weight = len,
) -> Callable[[Any, np.ndarray], float]:
    """Return a training step for a model of any kind, which all workers take together.

    ``step(inputs, targets)`` takes a whole batch, the same on every worker, computes the gradient of this
    worker's rows, and updates the weights by the sum of all gradients: as one process would with the whole
    batch. It returns the loss of the whole batch, those that the model adds included. The model gets the
    chief's weights.

    Args:
        model: made by the same code on every worker, and built; outside of a scope of a strategy.
        loss: ``loss(targets, outputs)``, the mean over the rows, a scalar.
        optimizer: updates the trainable weights.
        workers: the result of ``start_workers()``.
        weight: where the loss is no mean over rows, how many numbers of some targets it is over.

    The step raises ConfigError where a weight changes without a gradient, as in batch normalization, and
    WorkersError where a worker ended.
    """
    variables = model.trainable_variables
    optimizer.build(variables)
    workers.share(model.variables)
    give_own_seeds(model, workers)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(part: Part) -> Any:
        _, _, whole, slopes = compute_gradients(model, loss, optimizer, part)
        found = zip(slopes, variables, strict=True)
        trained = [(tf.convert_to_tensor(slope), variable) for slope, variable in found if slope is not None]
        total, *gradients = workers.sum([whole, *(slope for slope, _ in trained)])
        optimizer.apply(gradients, [variable for _, variable in trained])
        return total

    taken = False

    def take(inputs: Any, targets: np.ndarray) -> float:
        nonlocal taken
        (part,) = parts_of(inputs, targets, workers, weight=weight)
        before = not_trained(model) if workers.count > 1 and not taken else {}
        with workers.watched():
            value = float(step(part))
        check_not_trained(model, before)
        taken = True
        return value

    return take
