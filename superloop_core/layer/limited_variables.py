"""A limit on the variables that are made, whatever makes them."""

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import tensorflow as tf

from superloop_core.config.schema import LoopConfig
from superloop_core.errors import ConfigError, Problem, SuperloopError, WeightsError
from superloop_core.limits import in_bytes

LARGE = 10**6  # a number of a config that can make a loop too large to build


@contextmanager
def limited_variables(most: int) -> Iterator[None]:
    """Allow variables of ``most`` bytes together to be made: a config can ask for any number of weights.

    Raises:
        WeightsError: before the first variable beyond that is made.
    """
    made = 0

    def make(next_creator: Any, **settings: Any) -> Any:
        nonlocal made
        made += _bytes_of(settings)
        if made > most:
            raise WeightsError(
                f"its config asks for {in_bytes(made)} of weights and more; {in_bytes(most)} are possible"
            )
        return next_creator(**settings)

    with tf.variable_creator_scope(make):
        yield


@contextmanager
def limited_build(loop: LoopConfig, most: int | None = None) -> Iterator[None]:
    """Explain the errors of a loop that is too large to build.

    Args:
        loop: the config that is built.
        most: the largest size of all variables together, in bytes; None: any, in a graph that allocates none.

    Raises:
        ConfigError: the loop is too large.
    """
    try:
        with nullcontext() if most is None else limited_variables(most):
            yield
    except WeightsError as error:
        raise ConfigError([Problem("loop", str(error))]) from error
    except SuperloopError:
        raise
    except Exception as error:  # TensorFlow's and NumPy's errors about sizes have many types
        largest = max(_numbers(loop.to_dict()), default=0)
        if largest < LARGE and not isinstance(error, MemoryError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        what = f"is too large to build: its largest number is {largest:,} ({reason})"
        raise ConfigError([Problem("loop", what)]) from error


def _numbers(data: Any) -> Iterator[int]:
    """Yield every integer of a config."""
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list | tuple):
        for one in data:
            yield from _numbers(one)
    elif isinstance(data, int):
        yield data


def _bytes_of(settings: Mapping[str, Any]) -> int:
    """Return the size of a variable that is about to be made, of TensorFlow's settings of it."""
    value, shape = settings.get("initial_value"), settings.get("shape")
    if shape is None and callable(value):
        # Keras passes a closure over its own variable, which knows the shape.
        shape = getattr(inspect.getclosurevars(value).nonlocals.get("self"), "shape", None)
    elif shape is None:
        shape = getattr(value, "shape", None)
    dtype = tf.as_dtype(settings.get("dtype") or "float32")
    return math.prod(shape or ()) * int(dtype.size)
