"""The core's names: of a loop's inputs, and paths of its states and traces.

A path is ``cells.0.h``, ``tape.position``, ``tape.read``; the path of a part is ``cells.0`` or ``tape``.
"""

INPUTS, FEEDBACK, LENGTHS = "inputs", "initial_feedback", "lengths"  # a loop's inputs, besides its sources
READ, CONTROL, OUTPUTS = "read", "control", "outputs"  # the core's own traces
CELLS = "cells"
NORM = "norm"  # the normalization of a cell's input: cells.0.norm
LOSSES = "losses"  # a named tensor ``losses.sparsity`` of a step is added to the loss


def source_name(id: str, source: str) -> str:
    """Return the full name of a system's source, which is the name of the layer's input."""
    return f"{id}_{source}"


def cell_path(index: int) -> str:
    """Return the path of a cell."""
    return f"{CELLS}.{index}"


def read_path(id: str) -> str:
    """Return the path of a system's read vector."""
    return join(id, READ)


def is_loss(trace: str) -> bool:
    """Whether the name of a trace is that of a loss: ``tape.losses.sparsity``."""
    return LOSSES in trace.split(".")[:-1]


def join(path: str, name: str) -> str:
    """Return ``path.name``, or ``path`` where the name is empty."""
    return f"{path}.{name}" if name else path
