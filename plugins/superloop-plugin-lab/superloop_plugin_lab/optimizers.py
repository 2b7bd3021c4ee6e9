"""The optimizers that ``[train]`` may name."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras

from superloop_core import ConfigError
from superloop_core.errors import Problem, message, nearest, short_repr
from superloop_core.registry import load_registry
from superloop_plugin_lab.schedules import learning_rate
from superloop_plugin_lab.settings import OF_TRAIN, OPTIMIZERS, TrainConfig


def make_optimizer(settings: TrainConfig) -> keras.optimizers.Optimizer:
    """Return a new optimizer; with ``mixed_float16``, within Keras's ``LossScaleOptimizer``.

    Raises:
        ConfigError: no optimizer is registered by the name, or it does not take the arguments.
    """
    named = settings.optimizer
    arguments = {} if isinstance(named, str) else {key: named[key] for key in named if key != "name"}
    cls = optimizer_class(named if isinstance(named, str) else named["name"])
    _check_arguments(cls, arguments)
    ema = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    try:
        optimizer = cls(learning_rate(settings), **arguments, **ema)
    except Exception as error:  # any error of a registered class
        what = f"'optimizer' cannot be made: {cls.__name__} raised {message(error)}"
        raise ConfigError([Problem("train", f"{what}; change its arguments")]) from error
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.dtype == "mixed_float16" else optimizer


def optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Return the class of an optimizer.

    Args:
        name: one of ``OPTIMIZERS``, or a class in Keras's registry, ``package>Name``. Its package is imported
            where a plugin allows it with the hook ``superloop_keras_packages``.

    Raises:
        ConfigError: no optimizer is registered by the name.
    """
    if name in OPTIMIZERS:
        cls: type[keras.optimizers.Optimizer] = getattr(keras.optimizers, OPTIMIZERS[name])
        return cls
    cls = keras.saving.get_registered_object(name) or _imported(name)
    if not (isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer)):
        what = (
            f"'optimizer' must be {', '.join(OPTIMIZERS)}, or an optimizer that is registered with Keras "
            f"in this process: {name!r}; import it in the FILE of superloop -p FILE, or allow its package "
            "in a plugin with the hook superloop_keras_packages"
        )
        raise ConfigError([Problem("train", what)])
    return cls


def _imported(name: str) -> Any:
    """Import the package of a class where a plugin allows it; return the class, or None."""
    package = name.rpartition(">")[0]
    for packages in getattr(load_registry().hook, "superloop_keras_packages", list)():
        if isinstance(packages, Mapping) and package in packages:
            importlib.import_module(packages[package])
    return keras.saving.get_registered_object(name)


def _check_arguments(cls: type[keras.optimizers.Optimizer], arguments: Mapping[str, Any]) -> None:
    """Check arguments against the signatures of a class and its bases, and their types against the defaults.

    Raises:
        ConfigError: one is unknown, or is no number where the default is one; lists all of them.
    """
    known: dict[str, Any] = {}
    for init in filter(None, (vars(base).get("__init__") for base in cls.__mro__)):
        for name, parameter in inspect.signature(init).parameters.items():
            known.setdefault(name, parameter.default)
    ours = [name for name in known if name not in {"self", "name", "args", "kwargs", *OF_TRAIN}]
    problems = []
    for name, value in arguments.items():
        if name not in ours:
            hint = nearest(name, ours)
            problems.append(f"'optimizer' {cls.__name__} takes no {name!r}{hint}; it takes {', '.join(ours)}")
        elif isinstance(known[name], bool) and not isinstance(value, bool):
            problems.append(f"'optimizer.{name}' must be true or false: {short_repr(value)}")
        elif type(known[name]) in (int, float) and type(value) not in (int, float):
            problems.append(f"'optimizer.{name}' must be a number: {short_repr(value)}")
    if problems:
        raise ConfigError([Problem("train", problem) for problem in problems])
