"""The sLSTM cell."""

from typing import Any

import keras
import numpy as np
from keras import ops

from superloop_core import checkpoint
from superloop_core.layer import keras_objects
from superloop_plugin_xlstm import SlstmConfig

MODULES = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


@keras.saving.register_keras_serializable("superloop_plugin_xlstm")
class SLSTMCell(keras.layers.Layer):  # type: ignore[misc]
    """A Keras RNN cell, an LSTM with an exponential input gate whose cell state is a weighted mean.

    ::

        i, f, z, o = W x + R h + b                      each (batch, units)
        log f~ = log sigmoid(f)                         sigmoid forget gate
               = f                                      exponential forget gate
        m' = max(log f~ + m, i), at the first timestep i
        c' = exp(log f~ + m - m') c + exp(i - m') tanh(z)
        n' = exp(log f~ + m - m') n + exp(i - m')
        h' = sigmoid(o) c' / n'

    R has a block for each head: h of a head reaches the gates of the same head only. c / n is the mean of all
    tanh(z) so far, each with the weight that its input gate and the forget gates since have given it. A
    later, larger input gate so replaces what is stored, which a sigmoid cannot.

    The weights are stored relative to exp(m), so no gate overflows, and h does not depend on m. At the first
    timestep, where n is 0, m' = i, as in the authors' code; n is at least 1 from then on. That code gives
    gradients of NaN where the first input gate is below about -700 (in float64; -88 in float32), as it
    computes exp(log f~ - i) there; here exponents are at most 0, and all is finite.

    The weight columns are the gates i, f, z, o. The biases of the forget gates start between sigmoid(5/d) and
    sigmoid(5), for the d units of a head. The state is h, c, n and m, each ``(batch, units)``; all but the
    products and h is in float32 at least.

    Reference: Beck et al., "xLSTM: Extended Long Short-Term Memory", 2024, https://arxiv.org/abs/2405.04517,
    equations 8 to 17

    Args:
        units: size of the state ``h``, which is also the output, ``(batch, units)``.
        heads: number of blocks of R.
        forget_gate: ``"sigmoid"`` or ``"exponential"``.
        settings: ``kernel_initializer``, ``bias_regularizer`` and so on, objects or as Keras saves them; and
            the arguments of Keras's layers.
    """

    state_names = ("h", "c", "n", "m")

    def __init__(self, units: int, heads: int = 1, forget_gate: str = "sigmoid", **settings: Any):
        names = [f"{weight}_{kind}" for weight in ("kernel", "bias") for kind in MODULES]
        given = {name: settings.pop(name) for name in names if settings.get(name) is not None}
        super().__init__(autocast=False, **settings)
        self.given = {name: MODULES[name.rpartition("_")[2]].get(value) for name, value in given.items()}
        self.units, self.heads, self.forget_gate = units, heads, forget_gate
        self.state_size = [units] * 4
        self.output_size = units
        self.state_dtype = keras.backend.result_type(self.compute_dtype, "float32")

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        self.kernel = self._add("kernel", (input_shape[-1], 4 * self.units), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.units, 4 * self.units // self.heads), "kernel"
        )
        self.bias = self._add("bias", (4 * self.units,), "bias")

    def prepare(self) -> tuple[Any, Any]:
        """Return one kernel for ``[x ; h]``, with zeros between heads, and the bias."""
        heads, size = self.heads, self.units // self.heads
        blocks = ops.reshape(self.recurrent_kernel, (heads, size, 4, 1, size))
        same = ops.reshape(ops.eye(heads, dtype=blocks.dtype), (heads, 1, 1, heads, 1))
        recurrent = ops.reshape(blocks * same, (self.units, 4 * self.units))
        kernel = ops.concatenate([self.kernel, recurrent], axis=0)
        return ops.cast(kernel, self.compute_dtype), ops.cast(self.bias, self.compute_dtype)

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[h, c, n, m]``."""
        del training
        h, c, n, m = states
        kernel, bias = prepared or self.prepare()
        inputs = ops.cast(inputs, self.compute_dtype)
        gates = checkpoint(ops.concatenate([inputs, h], axis=-1) @ kernel + bias)  # (batch, 4 * units)
        i, f, z, o = ops.split(ops.cast(gates, self.state_dtype), 4, axis=-1)
        decayed = m + (ops.log_sigmoid(f) if self.forget_gate == "sigmoid" else f)
        m = ops.where(n > 0, ops.maximum(decayed, i), i)
        kept, added = ops.exp(ops.minimum(decayed - m, 0)), ops.exp(i - m)  # one of them is 1
        c = kept * c + added * ops.tanh(z)
        n = kept * n + added
        h = ops.sigmoid(o) * c / ops.maximum(n, 1)  # below 1 only where a learned start makes it so
        h = ops.cast(h, self.compute_dtype)
        return h, [h, c, n, m]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        dtypes = (self.compute_dtype, *[self.state_dtype] * 3)
        return [ops.zeros((batch_size, self.units), dtype=dtype) for dtype in dtypes]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        own = {"units": self.units, "heads": self.heads, "forget_gate": self.forget_gate}
        given = {
            name: MODULES[name.rpartition("_")[2]].serialize(value) for name, value in self.given.items()
        }
        return {**super().get_config(), **own, **given}

    def _add(self, name: str, shape: tuple[int, ...], kind: str) -> Any:
        """Make a weight with the settings of a kind, kernel or bias."""
        own = {key.partition("_")[2]: value for key, value in self.given.items() if key.startswith(kind)}
        if isinstance(own.get("initializer"), keras.initializers.Initializer):
            own["initializer"] = own["initializer"].clone()  # one without a seed draws other numbers
        default = self._biases if kind == "bias" else "glorot_uniform"
        return self.add_weight(shape=shape, name=name, **{"initializer": default, **own})

    def _biases(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return zeros, but for the forget gates, which begin with a range of time scales."""
        size = self.units // self.heads
        forget = np.tile(5 * np.arange(1, size + 1) / size, self.heads)
        forget = forget if self.forget_gate == "sigmoid" else -np.log1p(np.exp(-forget))  # the same f~
        zeros = np.zeros(self.units)
        return ops.convert_to_tensor(np.concatenate([zeros, forget, zeros, zeros]), dtype=dtype)


def slstm(settings: SlstmConfig) -> SLSTMCell:
    """Return the cell that the settings describe."""
    return SLSTMCell(settings.units, settings.heads, settings.forget_gate, **keras_objects(settings))
