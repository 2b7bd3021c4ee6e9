"""The first number of a loop that is not finite: its tensor, its timestep and its row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Tensor
from superloop_core.errors import SuperloopError

Found = tuple[int, list[str], int]  # a timestep, the names of tensors, a row


def first_not_finite(over_time: Mapping[str, np.ndarray]) -> Found | None:
    """Return where numbers are first not finite, or None where all are.

    Args:
        over_time: arrays by name, each ``(batch, timesteps, ...)``.

    Returns:
        the earliest timestep, the names of what is not finite then, and a row where the first is not.
    """
    found = {}
    for name, array in over_time.items():
        bad = ~np.isfinite(array).all(axis=tuple(range(2, array.ndim)))  # (batch, timesteps)
        if bad.any():
            timestep = int(bad.any(axis=0).argmax())
            found[name] = timestep, int(bad[:, timestep].argmax())
    if not found:
        return None
    earliest = min(timestep for timestep, _ in found.values())
    names = [name for name, (timestep, _) in found.items() if timestep == earliest]
    return earliest, names, found[names[0]][1]


def require_finite(owner: str, once: Mapping[str, Tensor], over_time: Mapping[str, Tensor]) -> None:
    """Check that all numbers are finite; in a graph, when it runs.

    Args:
        owner: the layer's name, for the message.
        once: tensors by name, each ``(batch, ...)``, before the first timestep.
        over_time: tensors by name, each ``(batch, timesteps, ...)``.

    Raises:
        SuperloopError: a number is not finite. In a graph, TensorFlow raises an error that holds its message.
    """
    once, over_time = _floats(once), _floats(over_time)
    names = [*once, *over_time]

    def check(*tensors: Any) -> None:
        arrays = {name: np.asarray(tensor) for name, tensor in zip(names, tensors, strict=True)}
        for name in once:
            if (found := first_not_finite({name: arrays.pop(name)[:, None]})) is not None:
                raise SuperloopError(f"{owner}: {name!r} is not finite in row {found[2]}")
        if (found := first_not_finite(arrays)) is not None:
            timestep, not_finite, row = found
            listed = ", ".join(map(repr, not_finite))
            raise SuperloopError(f"{owner}: not finite at timestep {timestep}, first in row {row}: {listed}")

    tensors = [*once.values(), *over_time.values()]
    if tf.executing_eagerly():
        check(*tensors)
    else:
        tf.py_function(check, tensors, [])


def _floats(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor.dtype.is_floating}
