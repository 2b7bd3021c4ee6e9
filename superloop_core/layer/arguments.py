"""The keyword arguments of the layers, checked by name as the settings of a config are."""

import inspect
from collections.abc import Iterable

import keras

from superloop_core.errors import ConfigError, did_you_mean

NOT_GIVEN = {"self", "kwargs", "autocast"}
OLD = {"input_shape", "input_dim"}  # Keras takes these, with a warning


def check_arguments(layer: keras.layers.Layer, given: Iterable[str]) -> None:
    """Require that the further keyword arguments of a layer are those of every Keras layer.

    Args:
        layer: whose ``__init__`` was called.
        given: names of its ``kwargs``.

    Raises:
        ConfigError: one has another name.
    """
    of_all, own = (_names(of.__init__) for of in (keras.layers.Layer, type(layer)))
    for name in given:
        if name not in of_all | OLD:
            hint = did_you_mean(name, of_all | own)
            raise ConfigError(f"{type(layer).__name__}: no argument {name!r}{hint}")


def _names(function: object) -> set[str]:
    return {*inspect.signature(function).parameters} - NOT_GIVEN  # type: ignore[arg-type]
