"""What of a model would differ between workers."""

from collections.abc import Mapping

import keras
import numpy as np

from superloop_core import ConfigError, Superloop
from superloop_plugin_lab.distributed.workers import Workers


def give_own_seeds(model: keras.Model, workers: Workers) -> None:
    """Let layers outside of loops drop other numbers on each worker; a loop knows its rows.

    Args:
        model: with the same states of seeds on all workers.
        workers: each shifts its seeds.
    """
    layers = model._flatten_layers()
    inside = {id(layer) for loop in layers if isinstance(loop, Superloop) for layer in loop._flatten_layers()}
    for layer in layers:
        if id(layer) not in inside:
            workers.spread_seeds(layer._seed_generators)


def not_trained(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights without a gradient, by path; integers are the states of seeds."""
    floats = [variable for variable in model.non_trainable_variables if "float" in variable.dtype]
    return {variable.path: np.array(variable) for variable in floats}


def check_not_trained(model: keras.Model, before: Mapping[str, np.ndarray]) -> None:
    """Check that a step left the weights without a gradient alone.

    Args:
        model: after the step.
        before: those weights before it; empty: nothing is checked.

    Raises:
        ConfigError: it did not, so they would differ between workers.
    """
    now = not_trained(model) if before else {}
    if changed := [path for path, value in before.items() if not np.array_equal(value, now[path])]:
        raise ConfigError(
            f"{changed[0]}: changes with each batch and has no gradient, as the averages of batch "
            "normalization, so it would differ between workers; train in one process"
        )
