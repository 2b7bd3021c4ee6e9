"""Values of examples as numbers and as labels."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import short_repr

MISSING = ("", "na", "n/a", "nan", "null", "none")


def as_number(value: Any, what: str) -> float:
    """Return a value as a number; NaN where it is missing.

    Args:
        value: of a file.
        what: its column and place, for the message.

    Raises:
        ConfigError: it is no finite number.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} must be a number: {short_repr(value)}") from error
    if math.isinf(number):
        raise ConfigError(f"{what} must be finite: {short_repr(value)}")
    return number


def as_matrix(values: Any, name: str, place: Callable[[int], str]) -> np.ndarray:
    """Return the values of a column as ``(timesteps, numbers)`` of float64; NaN where one is missing.

    Args:
        values: a list with a number, or a list of numbers, for each timestep.
        name: the column's, for messages.
        place: gives the place of a timestep, for messages.

    Raises:
        ConfigError: they are not.
    """
    what = f"{place(0)}: {name!r}"
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        array = values.astype("float64")
    elif isinstance(values, list | tuple | np.ndarray):
        rows = [row if isinstance(row, list | tuple | np.ndarray) else [row] for row in values]
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            raise ConfigError(f"{what} must have as many numbers at each timestep: {sorted(sizes)}")
        numbers = [[as_number(one, f"{place(t)}: {name!r}") for one in row] for t, row in enumerate(rows)]
        array = np.array(numbers, "float64")
    else:
        raise ConfigError(
            f"{what} must be a list with an entry for each timestep: {short_repr(values)}; where a row of "
            "the file is a timestep, name the column with the sequence's id in 'sequence'"
        )
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ConfigError(f"{what} must have timesteps, each of a number or a list of numbers: {array.shape}")
    if np.isinf(array).any():
        raise ConfigError(f"{what} must be finite")
    return array


def as_label(value: Any, what: str) -> str:
    """Return a value as the name of a class: ``3`` and ``3.0`` are one class.

    Raises:
        ConfigError: it is missing, or is no text, number, true or false.
    """
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or (isinstance(value, str) and not value.strip()) or value != value:
        raise ConfigError(f"{what} is missing")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        raise ConfigError(f"{what} must be a text or a number: {short_repr(value)}")
    return str(value).strip()
