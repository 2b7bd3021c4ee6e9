"""A cell without a state."""

from typing import Any

import keras

from superloop_core.layer import keras_objects
from superloop_plugin_cells.kernels import Kernels
from superloop_plugin_cells.settings import DenseConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class DenseCell(Kernels):
    """A Keras RNN cell without a state, the feed-forward controller of the NTM and of the DNC.

    ::

        y = activation(W x + b)

    In a superloop ``x`` contains the systems' read vectors, the only path from one timestep to the next.
    Without systems the output at t depends on the input at t only. ``keras.layers.RNN`` rejects every cell
    without a state.

    Reference: Graves et al., "Neural Turing Machines", 2014, https://arxiv.org/abs/1410.5401

    Args:
        units: size of the output, ``(batch, units)``.
        activation: of the output, a name of Keras or a function.
    """

    state_names = ()

    def __init__(self, units: int, activation: Any = "tanh", **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.state_size: list[int] = []
        self.output_size = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        self.kernel = self.add_kernel((input_shape[-1], self.units))
        self.bias = self.add_bias(self.units)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, no states."""
        del states, training
        return self.activation(inputs @ self.kernel + self.bias), []

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def dense(settings: DenseConfig) -> DenseCell:
    """Return the cell that the settings describe."""
    return DenseCell(settings.units, **keras_objects(settings))
