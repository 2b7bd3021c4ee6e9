"""The simple gated unit."""

from typing import Any

import keras
from keras import ops

from superloop_core.layer import keras_objects
from superloop_plugin_cells.kernels import Kernels
from superloop_plugin_cells.settings import SguConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class SGUCell(Kernels):
    """A simple gated unit, as the original superloop computes it; a Keras RNN cell.

    ::

        f  = (softsign(W_ctrl [x ; h] + b_ctrl) + 1) / 2
        h' = (1 - f) * LeakyReLU_0.1(W_in x + b_in) + f * h

    Reference: Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop

    Args:
        units: size of the state ``h``, which is also the output, ``(batch, units)``.
    """

    state_names = ("h",)

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        size = input_shape[-1]
        self.ctrl_kernel = self.add_kernel((size + self.units, self.units), "ctrl_kernel")
        self.ctrl_bias = self.add_bias(self.units, "ctrl_bias")
        self.in_kernel = self.add_kernel((size, self.units), "in_kernel")
        self.in_bias = self.add_bias(self.units, "in_bias")

    def prepare(self) -> tuple[Any, Any]:
        """Return one kernel for ``[x ; h]``, with zeros for ``W_in`` of h, and one bias."""
        in_kernel = ops.pad(self.in_kernel, ((0, self.units), (0, 0)))
        kernel = ops.concatenate([self.ctrl_kernel, in_kernel], axis=-1)
        bias = ops.concatenate([self.ctrl_bias, self.in_bias], axis=-1)
        return ops.cast(kernel, self.compute_dtype), ops.cast(bias, self.compute_dtype)

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, units)]``."""
        del training
        (h,) = states
        kernel, bias = prepared or self.prepare()
        control, candidate = ops.split(ops.concatenate([inputs, h], axis=-1) @ kernel + bias, 2, axis=-1)
        f = (ops.softsign(control) + 1) * 0.5  # a product, since a quotient has a gradient of its divisor
        candidate = ops.leaky_relu(candidate, negative_slope=0.1)
        h = candidate + f * (h - candidate)  # the equation above with one product less
        return h, [h]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def original_weights(self) -> dict[str, tuple[Any, ...]]:
        """Return the variables by the original's names of their layers."""
        return {
            "DenseCtrl": (self.ctrl_kernel, self.ctrl_bias),
            "DenseIn": (self.in_kernel, self.in_bias),
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return {**super().get_config(), "units": self.units}


def sgu(settings: SguConfig) -> SGUCell:
    """Return the cell that the settings describe."""
    return SGUCell(settings.units, **keras_objects(settings))
