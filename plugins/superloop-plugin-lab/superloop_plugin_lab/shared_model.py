"""One model and its compiled functions, for runs whose configs differ in nothing but the seed."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.task import Task
from superloop_plugin_lab.checkpoint import put_back
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.step import Compiled, compiled_step, new_optimizer


class SharedModel:
    """A model whose step and measurements are compiled once, at the first run that uses them.

    Args:
        experiment: its model is the one that is shared.
    """

    def __init__(self, experiment: Experiment):
        optimizer = new_optimizer(experiment)
        self._experiment = experiment
        self._constants = _constants(experiment.model, experiment.task)
        self.compiled = Compiled(optimizer, compiled_step(experiment, optimizer))

    def lend(self, other: Experiment) -> Experiment | None:
        """Give the model another experiment's initial weights, states of generators and of the optimizer.

        Args:
            other: its config differs in the seed.

        Returns:
            the other experiment with the shared model; None where the model cannot be shared, as a part drew
            numbers that are no variables when it was made: they are in the compiled functions.
        """
        mine = self._experiment
        if not _equal(self._constants, _constants(other.model, other.task)):
            return None
        put_back(mine.model.variables, [np.array(variable) for variable in other.model.variables], "weights")
        optimizer = new_optimizer(other)
        state = [np.array(variable) for variable in optimizer.variables]
        put_back(self.compiled.optimizer.variables, state, "an optimizer")
        return attrs.evolve(other, network=mine.network)


def _constants(model: keras.Model, task: Task) -> dict[str, list[Any]]:
    """Return the numbers that layers and a task hold besides variables, by their places."""
    owners = {f"layer {index}": layer for index, layer in enumerate(model._flatten_layers())}
    return {
        f"{place}.{name}": numbers
        for place, owner in {**owners, "task": task}.items()
        for name, value in getattr(owner, "__dict__", {}).items()
        if (numbers := list(_numbers(value)))
    }


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, (int, float, complex, np.ndarray, np.generic)) or (
        isinstance(value, tf.Tensor) and hasattr(value, "numpy")  # which one in a graph has not
    ):
        yield np.asarray(value)


def _equal(some: Mapping[str, list[Any]], others: Mapping[str, list[Any]]) -> bool:
    return some.keys() == others.keys() and all(
        len(of_some) == len(of_others)
        and all(
            one.shape == another.shape and one.tobytes() == another.tobytes()
            for one, another in zip(of_some, of_others, strict=True)
        )
        for of_some, of_others in zip(some.values(), others.values(), strict=True)
    )
