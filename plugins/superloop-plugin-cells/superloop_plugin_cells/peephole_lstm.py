"""Long short-term memory with peepholes."""

from typing import Any

import keras
from keras import ops

from superloop_plugin_cells.keras_cells import FusedKernels, arguments
from superloop_plugin_cells.settings import PeepholeLstmConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class PeepholeLSTMCell(FusedKernels, keras.layers.LSTMCell):  # type: ignore[misc]
    """A Keras RNN cell, an LSTM whose gates see the cell state of their own unit.

    ::

        i  = sigmoid(W_i [x ; h] + p_i * c + b_i)
        f  = sigmoid(W_f [x ; h] + p_f * c + b_f)
        c' = f * c + i * tanh(W_c [x ; h] + b_c)
        o  = sigmoid(W_o [x ; h] + p_o * c' + b_o)
        h' = o * tanh(c')

    The peepholes ``p`` start at 0, where the cell equals Keras's LSTM. It has the arguments of Keras's LSTM.
    The state is ``h`` and ``c``, each ``(batch, units)``. All gates share one dropout mask.

    References: Gers and Schmidhuber, "Recurrent Nets that Time and Count", 2000,
    https://doi.org/10.1109/IJCNN.2000.861302; Gers, Schraudolph and Schmidhuber, "Learning Precise Timing
    with LSTM Recurrent Networks", 2002, https://www.jmlr.org/papers/v3/gers02a.html
    """

    state_names = ("h", "c")

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.dropout_mask_count = None  # one mask, not one for each gate

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        super().build(input_shape)
        self.peepholes = self.add_weight(shape=(3, self.units), initializer="zeros", name="peepholes")

    def prepare(self) -> tuple[Any, Any, Any]:
        """Return one kernel for ``[x ; h]``, the bias, and the peepholes of i, f and o."""
        return *super().prepare(), ops.cast(self.peepholes, self.compute_dtype)

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h, c]``."""
        h, c = states
        kernel, bias, p = prepared or self.prepare()
        z = self.preactivation(inputs, h, training, kernel, bias)  # (batch, 4 * units)
        i, f, candidate, o = ops.split(z, 4, axis=-1)
        i = self.recurrent_activation(i + p[0] * c)
        f = self.recurrent_activation(f + p[1] * c)
        c = f * c + i * self.activation(candidate)
        o = self.recurrent_activation(o + p[2] * c)
        h = o * self.activation(c)
        return h, [h, c]


def peephole_lstm(settings: PeepholeLstmConfig) -> PeepholeLSTMCell:
    """Return the cell that the settings describe."""
    return PeepholeLSTMCell(settings.units, **arguments(settings))
