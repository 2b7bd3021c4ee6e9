"""Long short-term memory with layer normalization."""

from typing import Any

import keras
from keras import ops

from superloop_plugin_cells.keras_cells import arguments
from superloop_plugin_cells.settings import LayerNormLstmConfig

EPSILON = 1e-5


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class LayerNormLSTMCell(keras.layers.LSTMCell):  # type: ignore[misc]
    """A Keras RNN cell, an LSTM with layer normalization of its products and of its cell state.

    ::

        LN(z)        = (z - mean(z)) / sqrt(variance(z) + 1e-5)      mean and variance over the last axis
        [i, f, g, o] = a_x * LN(W x) + a_h * LN(U h) + b             (batch, 4 * units)
        c'           = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h'           = sigmoid(o) * tanh(a_c * LN(c') + b_c)

    The paper adds a bias to each normalized product; here one bias ``b`` is their sum. Gains ``a`` start at
    1. The cell has the arguments of Keras's LSTM. The state is ``h`` and ``c``, each ``(batch, units)``.
    All but the products is computed in float32 at least. All gates share one dropout mask. A vector of equal
    numbers, such as zeros, is normalized to zeros.

    Reference: Ba, Kiros and Hinton, "Layer Normalization", 2016, https://arxiv.org/abs/1607.06450,
    equations 20 to 22
    """

    state_names = ("h", "c")

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.dropout_mask_count = None  # one mask, not one for each gate

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        super().build(input_shape)

        def vector(size: int, initializer: str, name: str) -> Any:
            return self.add_weight(shape=(size,), initializer=initializer, name=name, autocast=False)

        self.input_gain = vector(4 * self.units, "ones", "input_gain")
        self.recurrent_gain = vector(4 * self.units, "ones", "recurrent_gain")
        self.cell_gain = vector(self.units, "ones", "cell_gain")
        self.cell_bias = vector(self.units, "zeros", "cell_bias")

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h, c]``."""
        h, c = states
        wide = keras.backend.result_type(self.compute_dtype, "float32")
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        z = self.input_gain * _normalized(inputs @ self.kernel, wide)  # (batch, 4 * units)
        z += self.recurrent_gain * _normalized(h @ self.recurrent_kernel, wide)
        if self.bias is not None:
            z += ops.cast(self.bias, wide)
        i, f, g, o = ops.split(z, 4, axis=-1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        c = f * ops.cast(c, wide) + i * self.activation(g)
        normalized = self.cell_gain * _normalized(c, wide) + self.cell_bias
        h = ops.cast(o * self.activation(normalized), self.compute_dtype)
        return h, [h, ops.cast(c, self.compute_dtype)]


def _normalized(z: Any, dtype: str) -> Any:
    z = ops.cast(z, dtype)
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + EPSILON)


def layer_norm_lstm(settings: LayerNormLstmConfig) -> LayerNormLSTMCell:
    """Return the cell that the settings describe."""
    return LayerNormLSTMCell(settings.units, **arguments(settings))
