"""The capacity of a memory with ``capacity = 0``."""

from typing import Any

from superloop_core import Sequence, SuperloopError


def timesteps_of(sequence: Sequence) -> Any:
    """Return the number of timesteps of a sequence.

    Raises:
        SuperloopError: it is not known.
    """
    if sequence.timesteps is None:
        raise SuperloopError(
            "capacity = 0 means the number of timesteps of the sequence, which is not known here: "
            "set 'capacity'"
        )
    return sequence.timesteps
