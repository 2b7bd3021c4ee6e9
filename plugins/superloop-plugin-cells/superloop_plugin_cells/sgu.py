"""The simple gated unit."""

from typing import Any

import keras
from keras import ops

from superloop_plugin_cells import SguConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class SGUCell(keras.layers.Layer):  # type: ignore[misc]
    """A simple gated unit, as the original superloop computes it; a Keras RNN cell.

    ::

        f  = (softsign(W_ctrl [x ; h] + b_ctrl) + 1) / 2
        h' = (1 - f) * LeakyReLU_0.1(W_in x + b_in) + f * h

    Source: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop

    Args:
        units: size of the state ``h`` and of the output, which are the same, ``(batch, units)``.
    """

    state_names = ("h",)

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        size = input_shape[-1]
        self.ctrl_kernel = self.add_weight(shape=(size + self.units, self.units), name="ctrl_kernel")
        self.ctrl_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="ctrl_bias")
        self.in_kernel = self.add_weight(shape=(size, self.units), name="in_kernel")
        self.in_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="in_bias")

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, units)]``."""
        del training
        (h,) = states
        both = ops.concatenate([inputs, h], axis=-1)
        f = (ops.softsign(both @ self.ctrl_kernel + self.ctrl_bias) + 1) / 2
        candidate = ops.leaky_relu(inputs @ self.in_kernel + self.in_bias, negative_slope=0.1)
        h = candidate + f * (h - candidate)  # as above, with a product and its gradient less
        return h, [h]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def original_weights(self) -> dict[str, tuple[Any, ...]]:
        """Return the variables by the names of the layers that held them in the original."""
        return {
            "DenseCtrl": (self.ctrl_kernel, self.ctrl_bias),
            "DenseIn": (self.in_kernel, self.in_bias),
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return super().get_config() | {"units": self.units}


def sgu(settings: SguConfig) -> SGUCell:
    """Return the cell that the settings describe."""
    return SGUCell(settings.units)
