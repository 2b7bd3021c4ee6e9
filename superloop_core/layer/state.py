"""A loop's state from call to call, stored by a stateful layer."""

from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor
from superloop_core.errors import SourceError


class StatefulStore:
    """The state of a stateful layer between calls. It is not a weight, and is not saved.

    Args:
        specs: TensorSpecs of the state, each ``(None, ...)``.
        batch_size: the same in every call.
        owner: the layer's name, for messages.

    Attributes:
        tensors: variables, in the order of ``tf.nest.flatten(specs)``.

    Raises:
        SourceError: the size of a state depends on that of a source, which is not known.
    """

    def __init__(self, specs: State, batch_size: int, owner: str):
        self.batch_size = batch_size
        self._owner = owner
        self._filled = keras.Variable(False, dtype="bool", trainable=False, name="begun")
        self.tensors = [_variable(batch_size, spec, owner) for spec in tf.nest.flatten(specs)]

    @property
    def variables(self) -> list[keras.Variable]:
        """Everything it stores."""
        return [self._filled, *self.tensors]

    @property
    def stored(self) -> list[Tensor] | None:
        """The stored tensors, or None where nothing is stored; not for use in a graph."""
        return [tf.identity(tensor.value) for tensor in self.tensors] if bool(self._filled.value) else None

    def load(self, initial: State, batch_size: Any) -> State:
        """Return the stored state, or ``initial`` where nothing is stored.

        Args:
            initial: the state at t = 0.
            batch_size: of the call; where it is a tensor, it is checked when the graph runs.

        Raises:
            SourceError: the batch size is not that of the stored state.
        """
        rule = f"{self._owner}: is stateful, and was built for the batch size {self.batch_size}"
        checks = []
        if not isinstance(batch_size, int):
            what = f"{rule}; drop the remainder of the data"
            checks = [tf.debugging.assert_equal(batch_size, self.batch_size, what)]
        elif batch_size != self.batch_size:
            raise SourceError(f"{rule}: {batch_size}")
        filled = tf.convert_to_tensor(self._filled)
        with tf.control_dependencies(checks):
            tensors = [
                tf.where(filled, tf.convert_to_tensor(stored), tf.ensure_shape(tensor, stored.shape))
                for stored, tensor in zip(self.tensors, tf.nest.flatten(initial), strict=True)
            ]
        return tf.nest.pack_sequence_as(initial, tensors)

    def save(self, state: State) -> None:
        """Store a state for the next call."""
        for stored, tensor in zip(self.tensors, tf.nest.flatten(state), strict=True):
            stored.assign(tensor)
        self._filled.assign(True)

    def clear(self) -> None:
        """Let the next call start from the state at t = 0."""
        self._filled.assign(False)


def _variable(batch_size: int, spec: tf.TensorSpec, owner: str) -> keras.Variable:
    if not spec.shape[1:].is_fully_defined():
        raise SourceError(
            f"{owner}: stateful = True needs the sizes of the sources that decide the shape of a state: "
            f"{tuple(spec.shape)}; give them a known shape"
        )
    zeros: Tensor = tf.zeros([batch_size, *spec.shape[1:]], spec.dtype)
    # Mixed precision would read it in another dtype than the state's.
    return keras.Variable(zeros, dtype=spec.dtype.name, trainable=False, autocast=False, name="state")
