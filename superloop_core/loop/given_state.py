"""A state that a user gives: all of its tensors in a list, or some by path."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import State
from superloop_core.errors import SourceError, did_you_mean, short_repr


def with_given(state: State, names: list[str], given: Any, owner: str) -> State:
    """Return a state with the tensors that were given.

    Args:
        state: has the others.
        names: the paths of its tensors, in the order of ``tf.nest.flatten(state)``.
        given: a list of all its tensors in this order, or a dict of some of them by path.
        owner: the layer's name, for messages.

    Raises:
        SourceError: a tensor is unknown, missing, one too many or of a wrong shape.
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
                f"{owner}: a state must be a list of {len(names)} tensors, {', '.join(names)}, or a dict of "
                f"some of them: {len(listed)} given"
            )
        new = dict(zip(names, listed, strict=True))
    for name, value in new.items():
        tensor = tf.cast(tf.convert_to_tensor(value), tensors[name].dtype)
        shape = tensors[name].shape
        if not tensor.shape.is_compatible_with(shape):
            received = short_repr(tuple(tensor.shape))
            raise SourceError(f"{owner}: {name!r} of the state must have the shape {shape}: {received}")
        tensors[name] = tf.ensure_shape(tensor, shape)
    return tf.nest.pack_sequence_as(state, list(tensors.values()))
