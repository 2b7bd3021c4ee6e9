"""A loop's state as its user sees it: a list of tensors, or a dict of them by path."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor
from superloop_core.errors import SourceError, did_you_mean, shown


def replaced(state: State, names: list[str], given: Any, owner: str) -> State:
    """Return the state at t = 0 with what is given of it in its place.

    Args:
        state: what it would be.
        names: the paths of its tensors, in the order of ``tf.nest.flatten(state)``.
        given: all of its tensors, a list in this order, or some, a dict by path.
        owner: the layer's name, for messages.

    Raises:
        SourceError: something is unknown, missing, too much or of a wrong shape.
    """
    tensors = dict(zip(names, tf.nest.flatten(state), strict=True))
    if isinstance(given, Mapping):
        for name in given:
            if name not in tensors:
                raise SourceError(f"{owner}: the state has no {name!r}{did_you_mean(name, names)}")
        new = dict(given)
    else:
        listed = list(given) if isinstance(given, list | tuple) else [given]
        if len(listed) != len(names):
            raise SourceError(
                f"{owner}: 'initial_state' must be a list of {len(names)} tensors, {', '.join(names)}, or a "
                f"dict of some of them: {len(listed)} given"
            )
        new = dict(zip(names, listed, strict=True))
    for name, value in new.items():
        tensors[name] = _fitting(name, value, tensors[name], owner)
    return tf.nest.pack_sequence_as(state, list(tensors.values()))


class KeptState:
    """What a stateful layer keeps from one call to the next. It is no weight: it is not saved.

    Args:
        specs: of the state's tensors, ``(None, ...)``.
        batch_size: rows, the same in every call.
    """

    def __init__(self, specs: State, batch_size: int):
        self.batch_size = batch_size
        self._begun = keras.Variable(False, dtype="bool", trainable=False, name="begun")
        self._tensors = [_variable(batch_size, spec) for spec in tf.nest.flatten(specs)]

    def or_initial(self, state: State) -> State:
        """Return what was kept, or ``state`` where nothing was yet."""
        begun = tf.convert_to_tensor(self._begun)
        tensors = [
            tf.where(begun, tf.convert_to_tensor(kept), initial)
            for kept, initial in zip(self._tensors, tf.nest.flatten(state), strict=True)
        ]
        return tf.nest.pack_sequence_as(state, tensors)

    def keep(self, state: State) -> None:
        """Keep a state for the next call."""
        for kept, tensor in zip(self._tensors, tf.nest.flatten(state), strict=True):
            kept.assign(tensor)
        self._begun.assign(True)

    def forget(self) -> None:
        """Let the next call begin anew."""
        self._begun.assign(False)


def _variable(batch_size: int, spec: tf.TensorSpec) -> keras.Variable:
    if not spec.shape[1:].is_fully_defined():
        raise SourceError(f"a stateful loop needs to know the shape of its sources when it is built: {spec}")
    zeros = tf.zeros([batch_size, *spec.shape[1:]], spec.dtype)
    return keras.Variable(zeros, dtype=spec.dtype.name, trainable=False, name="state")


def _fitting(name: str, value: Any, like: Tensor, owner: str) -> Tensor:
    tensor = tf.cast(tf.convert_to_tensor(value), like.dtype)
    if not tensor.shape.is_compatible_with(like.shape):
        raise SourceError(
            f"{owner}: {name!r} of the state must have the shape {like.shape}: {shown(tuple(tensor.shape))}"
        )
    return tf.ensure_shape(tensor, like.shape)
