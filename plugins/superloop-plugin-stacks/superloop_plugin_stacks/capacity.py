"""How much a memory with ``capacity = 0`` keeps."""

from typing import Any

from superloop_core import Sequence, SuperloopError


def timesteps_of(sequence: Sequence) -> Any:
    """Return how many timesteps a sequence has.

    Raises:
        SuperloopError: nobody knows.
    """
    if sequence.timesteps is None:
        raise SuperloopError(
            "capacity = 0 stands for as many as the sequence has timesteps, and here nobody knows how many "
            "there will be: set 'capacity'"
        )
    return sequence.timesteps
