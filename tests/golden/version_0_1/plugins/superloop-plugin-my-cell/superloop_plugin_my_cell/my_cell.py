"""MyCell, a Keras RNN cell: any will do, of Keras or of another package."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("superloop_plugin_my_cell")
class MyCellCell(keras.layers.Layer):
    """A gate says how much of the hidden state is kept.

    ::

        f  = sigmoid(W_f [x ; h] + b_f)
        h' = f * h + (1 - f) * tanh(W_c [x ; h] + b_c)

    Args:
        units: size of the hidden state ``h`` and of the output, which are the same.
    """

    state_names = ("h",)  # for traces: cells.0.h

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        """Make the weights for inputs ``(batch, input_size)``."""
        shape = (input_shape[-1] + self.units, 2 * self.units)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(2 * self.units,), initializer="zeros", name="bias")

    def call(self, inputs, states, training=False):
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, units)]``."""
        del training
        (h,) = states
        seen = ops.concatenate([inputs, h], axis=-1)
        gate, candidate = ops.split(seen @ self.kernel + self.bias, 2, axis=-1)
        f = ops.sigmoid(gate)
        h = f * h + (1 - f) * ops.tanh(candidate)
        return h, [h]

    def get_initial_state(self, batch_size=None):
        """Start with zeros."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        """Return the arguments of ``__init__``."""
        return super().get_config() | {"units": self.units}


def make(settings):
    """Return the cell that the settings describe."""
    return MyCellCell(settings.units)
