"""Paths, the names of states and traces: ``cells.0.h``, ``tape.position``, ``tape.read``, ``outputs``."""

import tensorflow as tf

from superloop_core.builder.protocol import Builder, State, Tensor, join

READ, CONTROL, OUTPUTS = "read", "control", "outputs"  # the core's own traces


def cell_path(index: int) -> str:
    """Return the path of a cell."""
    return f"cells.{index}"


def read_path(id: str) -> str:
    """Return the path of a system's read vector."""
    return f"{id}.{READ}"


def paths_of(path: str, builder: Builder | None, state: State) -> dict[str, Tensor]:
    """Return each tensor of a part's state by its path, in the order of ``tf.nest.flatten``.

    Args:
        path: the part's: ``cells.0``, ``tape``, ``tape.read``.
        builder: the part; None for a read vector, which is one tensor.
        state: the part's.
    """
    names = [""] if builder is None else builder.state_names(state)
    return {join(path, name): tensor for name, tensor in zip(names, tf.nest.flatten(state), strict=True)}
