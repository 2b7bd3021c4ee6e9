"""A superloop as a Keras RNN cell."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from superloop_core.builder.noise import first_row_of_batch, noise_of
from superloop_core.builder.protocol import Sequence, State, Tensor
from superloop_core.config.forms import read_any
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import SourceError, SuperloopError
from superloop_core.inspect.watch import watcher
from superloop_core.layer.arguments import check_arguments
from superloop_core.layer.assembly import assemble, freeze_frozen, made_with_frozen, with_frozen
from superloop_core.layer.seeds import draw_seed, own_generator


@keras.saving.register_keras_serializable("superloop_core")
class SuperloopCell(keras.layers.Layer):  # type: ignore[misc]
    """A loop without sources as a cell for ``keras.layers.RNN``.

    :class:`~superloop_core.layer.Superloop` is faster, and has traces; this class is for code that
    needs a cell. Keras's states are flat: each tensor of the loop's state becomes ``(batch, numbers)``, in
    the compute dtype. Dropout is drawn anew at each timestep.

    Args:
        config: as for ``Superloop``; ``timesteps`` and ``suppress_output`` are not set.

    Raises:
        ConfigError: the config cannot be used.
        SuperloopError: the loop reads sources, which a cell cannot have.
    """

    def __init__(self, config: LoopConfig | Mapping[str, Any] | str | Path, **kwargs: Any):
        check_arguments(self, kwargs)
        super().__init__(autocast=False, **kwargs)
        self.config = read_any(config)
        required = [name for name, source in self.config.sources.items() if not source.optional]
        if required:
            names = ", ".join(required)
            raise SuperloopError(f"a Keras cell has no sources, but this loop reads {names}")
        if self.config.suppress_output or self.config.timesteps:
            raise SuperloopError("a Keras cell has no timesteps; remove 'timesteps' and 'suppress_output'")
        self.wiring = assemble(self.config, self.dtype_policy)
        freeze_frozen(self)
        self._seeds = own_generator(self.wiring)
        self.supports_jit = self.wiring.supports_jit
        with keras.name_scope(self.name):
            self.wiring.build(self.config.inputs)  # Keras asks for the state before it builds the cell
        freeze_frozen(self)
        self._specs = self.wiring.state_specs(timesteps=None)
        if any(spec.dtype.is_complex for spec in tf.nest.flatten(self._specs)):
            raise SuperloopError(
                "a Keras cell has real states, but this loop has complex ones; use Superloop"
            )
        self.output_size = self.wiring.output_size
        self.state_size = [math.prod(spec.shape[1:]) for spec in tf.nest.flatten(self._specs)]
        self.state_names = tuple(name.replace(".", "_") for name in self.wiring.state_names(self._specs))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the size of the inputs ``(batch, inputs)``; the weights are made already."""
        if input_shape[-1] != self.config.inputs:
            raise SourceError(
                f"{self.name}: the config says inputs = {self.config.inputs}: {input_shape[-1]}"
            )

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Take one timestep: inputs ``(batch, inputs)``, states as in :meth:`get_initial_state`."""
        sequence = self._sequence(ops.shape(inputs)[0], training)
        constants = self.wiring.constants(sequence)
        with noise_of(sequence.seed, sequence.first_row, 0):
            output, state, traces = self.wiring.step(inputs, self._packed(states), constants)
        if (watch := watcher()) is not None:
            watch.stepped(self, inputs, state, traces)
        return output, self._flat(state)

    def get_initial_state(self, batch_size: Any = None) -> list[Tensor]:
        """Return the state at t = 0, flat."""
        return self._flat(self.wiring.initial_state(self._sequence(batch_size, False)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return with_frozen(self, dict(super().get_config(), config=self.config.to_dict()))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SuperloopCell":
        """Make the cell."""
        made: SuperloopCell = made_with_frozen(cls, config)
        return made

    def _sequence(self, batch_size: Any, training: bool) -> Sequence:
        return Sequence(
            batch_size=batch_size,
            timesteps=None,
            lengths=None,
            dtype=self.compute_dtype,
            training=bool(training),
            seed=draw_seed(self.wiring, self._seeds, training),
            first_row=first_row_of_batch(),
        )

    def _flat(self, state: State) -> list[Tensor]:
        sizes = zip(tf.nest.flatten(state), self.state_size, strict=True)
        return [tf.cast(tf.reshape(tensor, [-1, size]), self.compute_dtype) for tensor, size in sizes]

    def _packed(self, states: list[Tensor]) -> State:
        specs = zip(states, tf.nest.flatten(self._specs), strict=True)
        tensors = [tf.cast(tf.reshape(t, [-1, *spec.shape[1:]]), spec.dtype) for t, spec in specs]
        return tf.nest.pack_sequence_as(self._specs, tensors)
