"""Paths of states and traces: ``tape.position``, ``cells.0.h``."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor


def paths_of(path: str, state: State, builder: Any = None) -> dict[str, Tensor]:
    """Name every tensor of a state by its path, ``tape.position``, in the order of ``tf.nest.flatten``."""
    if hasattr(builder, "state_names"):
        names = builder.state_names(state)
        return {f"{path}.{name}": t for name, t in zip(names, tf.nest.flatten(state), strict=True)}
    if isinstance(state, Mapping):
        parts = sorted(state.items())
    elif isinstance(state, tuple | list):
        parts = list(zip(getattr(state, "_fields", range(len(state))), state, strict=True))
    else:
        return {path: state}
    return {name: t for key, part in parts for name, t in paths_of(f"{path}.{key}", part).items()}
