"""Keras's recurrent cells, from settings."""

from typing import Any

import keras
from keras import ops

from superloop_core import checkpoint
from superloop_core.layer import keras_objects
from superloop_plugin_cells.settings import KerasCellConfig


class FusedKernels:
    """Mixin for a Keras cell with two kernels: one product for both, saved for the backward pass.

    Arguments, weights and outputs are those of Keras's cell.
    """

    def prepare(self: Any) -> tuple[Any, ...]:
        """Return one kernel for ``[x ; h]``, and the bias."""
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        bias = ops.zeros_like(kernel[0]) if self.bias is None else self.bias
        return tuple(ops.cast(weight, self.compute_dtype) for weight in (kernel, bias))

    def preactivation(self: Any, inputs: Any, h: Any, training: bool, kernel: Any, bias: Any) -> Any:
        """Return ``W x + U h + b``, ``(batch, gates * units)``; all gates share one dropout mask."""
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        return checkpoint(ops.concatenate([inputs, h], axis=-1) @ kernel + bias)


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class LSTMCell(FusedKernels, keras.layers.LSTMCell):  # type: ignore[misc]
    """Keras's LSTM cell with fused kernels.

    Recurrent dropout has a mask for each gate; with it the cell calls Keras's own code.
    """

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h, c]``."""
        if self.recurrent_dropout:
            step: tuple[Any, list[Any]] = super().call(inputs, states, training=training)
            return step
        h, c = states
        z = self.preactivation(inputs, h, training, *(prepared or self.prepare()))  # (batch, 4 * units)
        i, f, candidate, o = ops.split(z, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(candidate)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class SimpleRNNCell(FusedKernels, keras.layers.SimpleRNNCell):  # type: ignore[misc]
    """Keras's simple cell with fused kernels."""

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h]``."""
        (h,) = states
        h = self.activation(self.preactivation(inputs, h, training, *(prepared or self.prepare())))
        return h, [h]


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class GRUCell(keras.layers.GRUCell):  # type: ignore[misc]
    """Keras's GRU cell, with its products saved for the backward pass.

    Recurrent dropout has a mask for each gate; with it the cell calls Keras's own code, as it does without a
    bias or with ``reset_after=False``.
    """

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h]``."""
        if self.recurrent_dropout or not (self.use_bias and self.reset_after):
            step: tuple[Any, list[Any]] = super().call(inputs, states, training=training)
            return step
        (h,) = states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        z, r, candidate = ops.split(checkpoint(inputs @ self.kernel + self.bias[0]), 3, axis=-1)
        z_h, r_h, candidate_h = ops.split(checkpoint(h @ self.recurrent_kernel + self.bias[1]), 3, axis=-1)
        z, r = self.recurrent_activation(z + z_h), self.recurrent_activation(r + r_h)
        h = z * h + (1 - z) * self.activation(candidate + r * candidate_h)
        return h, [h]


def lstm(settings: KerasCellConfig) -> LSTMCell:
    """Long short-term memory; its state is ``h`` and ``c``, each ``(batch, units)``.

    Reference: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997,
    https://doi.org/10.1162/neco.1997.9.8.1735
    """
    return LSTMCell(settings.units, **arguments(settings))


def gru(settings: KerasCellConfig) -> GRUCell:
    """Gated recurrent unit; its state is ``h``, ``(batch, units)``.

    Reference: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014,
    https://arxiv.org/abs/1406.1078
    """
    return GRUCell(settings.units, **arguments(settings))


def simple_rnn(settings: KerasCellConfig) -> SimpleRNNCell:
    """Fully connected cell; its state is ``h``, ``(batch, units)``.

    Reference: Elman, "Finding Structure in Time", 1990, https://doi.org/10.1207/s15516709cog1402_1
    """
    return SimpleRNNCell(settings.units, **arguments(settings))


def arguments(settings: KerasCellConfig) -> dict[str, Any]:
    """Return the arguments of a cell of Keras.

    Raises:
        ConfigError: Keras has no initializer, regularizer, constraint or activation of a name.
    """
    dropout = {"dropout": settings.dropout, "recurrent_dropout": settings.recurrent_dropout}
    return dropout | keras_objects(settings)
