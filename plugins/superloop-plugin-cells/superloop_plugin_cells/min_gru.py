"""The minimal gated unit of "Were RNNs All We Needed?"."""

from typing import Any

import keras
from keras import ops

from superloop_core.layer import keras_objects
from superloop_plugin_cells.kernels import Kernels
from superloop_plugin_cells.settings import MinGruConfig


@keras.saving.register_keras_serializable("superloop_plugin_cells")
class MinGRUCell(Kernels):
    """A Keras RNN cell, a gated unit whose gate and candidate see the inputs only, not the state.

    ::

        z  = sigmoid(W_z x + b_z)
        h~ = W_h x + b_h                        or g(W_h x + b_h) if positive
        h' = (1 - z) * h + z * h~
        g(v) = v + 1/2 if v >= 0, else sigmoid(v)

    In a superloop it still depends on the past: x contains the systems' read vectors.

    Reference: Feng et al., "Were RNNs All We Needed?", 2024, https://arxiv.org/abs/2410.01201

    Args:
        units: size of the state ``h``, which is also the output, ``(batch, units)``.
        positive: apply g to candidates, as the paper's log-space version does. The state, which starts at
            0, is then positive.
    """

    state_names = ("h",)

    def __init__(self, units: int, positive: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.positive = positive
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``: the gate's, then the candidate's."""
        self.kernel = self.add_kernel((input_shape[-1], 2 * self.units))
        self.bias = self.add_bias(2 * self.units)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, units)]``."""
        del training
        (h,) = states
        z, candidate = ops.split(inputs @ self.kernel + self.bias, 2, axis=-1)
        if self.positive:
            candidate = ops.where(candidate >= 0, candidate + 0.5, ops.sigmoid(candidate))
        h = h + ops.sigmoid(z) * (candidate - h)
        return h, [h]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return {**super().get_config(), "units": self.units, "positive": self.positive}


def min_gru(settings: MinGruConfig) -> MinGRUCell:
    """Return the cell that the settings describe."""
    return MinGRUCell(settings.units, positive=settings.positive, **keras_objects(settings))
