"""Objects of Keras, such as initializers, from the settings that name them."""

import copy
from collections.abc import Iterator
from typing import Any

import attrs
import keras

from superloop_core.errors import ConfigError, Problem, nearest, short_repr
from superloop_core.layer.keras_config import check_keras_config
from superloop_core.setting_types import written

KINDS = {
    "initializer": (keras.initializers, "an initializer"),
    "regularizer": (keras.regularizers, "a regularizer"),
    "constraint": (keras.constraints, "a constraint"),
    "activation": (keras.activations, "an activation"),
}


def keras_objects(settings: Any) -> dict[str, Any]:
    """Return what the settings of Keras's kinds name, those that are given: arguments of a layer or a cell.

    Args:
        settings: an attrs object. What its settings are is in the end of their names:
            ``kernel_initializer``, ``bias_regularizer``, ``kernel_constraint``, ``activation``.

    Raises:
        ConfigError: Keras has no such object, or it may not be made from a file; lists every problem.
    """
    made: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in attrs.fields(type(settings)):
        kind, value = field.name.rpartition("_")[2], getattr(settings, field.name)
        if kind in KINDS and value is not None:
            if found := list(_refusals(kind, field.name, value)):
                problems += [Problem("", what) for what in found]
            else:
                made[field.name] = KINDS[kind][0].get(copy.deepcopy(value))
    if problems:
        raise ConfigError(problems)
    return made


def _refusals(kind: str, name: str, value: Any) -> Iterator[str]:
    """Yield why a setting names no object of a kind."""
    module, words = KINDS[kind]
    if unsafe := check_keras_config(value, name):
        yield from (f"{problem.where!r} {problem.what}" for problem in unsafe)
        return
    try:
        made = module.get(copy.deepcopy(value))
    except Exception as error:  # of a class, which may raise anything
        named = value.get("class_name") if isinstance(value, dict) else value
        known = (one for one in vars(module) if not one.startswith("_"))
        hint = nearest(named, [one for one in known if one not in ("get", "serialize", "deserialize", named)])
        reason = "" if hint else f" ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        yield f"{name!r} must be {words} of Keras: {short_repr(written(value))}{hint}{reason}"
        return
    if not callable(made):
        yield f"{name!r} must be {words} of Keras: {short_repr(written(value))}"
