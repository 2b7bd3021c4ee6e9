"""The independently recurrent cell."""

from typing import Any

import keras
from keras import ops

from superloop_core.layer import keras_objects
from superloop_plugin_cells.kernels import Kernels
from superloop_plugin_cells.settings import IndRnnConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class Within(keras.constraints.Constraint):  # type: ignore[misc]
    """Clips weights to the range from ``-limit`` to ``limit``."""

    def __init__(self, limit: float):
        self.limit = limit

    def __call__(self, weights: Any) -> Any:
        """Clip the weights."""
        return ops.clip(weights, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return {"limit": self.limit}


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class IndRNNCell(Kernels):
    """A Keras RNN cell whose units each see their own state only.

    ::

        h' = activation(W x + u * h + b)         |u| <= 2^(1/T)

    A state and its gradient grow at most 2-fold in T timesteps. Training with relu needs this limit; it is
    enough for tanh too, whose slope is at most 1. Recurrent weights start uniform between 0 and the limit.
    Units interact in the next layer.

    Reference: Li et al., "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN",
    2018, https://arxiv.org/abs/1803.04831

    Args:
        units: size of the state ``h``, which is also the output, ``(batch, units)``.
        activation: ``"relu"`` or ``"tanh"``.
        timesteps: T; 0: infinite, so that the limit is 1.
    """

    state_names = ("h",)

    def __init__(self, units: int, activation: str = "relu", timesteps: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.activation = activation
        self.timesteps = timesteps
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        limit = 2.0 ** (1 / self.timesteps) if self.timesteps else 1.0
        self.kernel = self.add_kernel((input_shape[-1], self.units))
        self.recurrent = self.add_weight(
            shape=(self.units,),
            initializer=keras.initializers.RandomUniform(0.0, limit),
            constraint=Within(limit),
            name="recurrent",
        )
        self.bias = self.add_bias(self.units)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, units)]``."""
        del training
        (h,) = states
        h = getattr(ops, self.activation)(inputs @ self.kernel + self.recurrent * h + self.bias)
        return h, [h]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        own = {"units": self.units, "activation": self.activation, "timesteps": self.timesteps}
        return {**super().get_config(), **own}


def indrnn(settings: IndRnnConfig) -> IndRNNCell:
    """Return the cell that the settings describe."""
    arguments = keras_objects(settings) | {"activation": settings.activation}
    return IndRNNCell(settings.units, timesteps=settings.timesteps, **arguments)
