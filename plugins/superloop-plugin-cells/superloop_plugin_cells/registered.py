"""Any cell that Keras knows, by its registered name."""

import copy
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras

from superloop_core import ConfigError
from superloop_core.errors import did_you_mean, message, shown
from superloop_plugin_cells import PACKAGES, RegisteredConfig


def registered(settings: RegisteredConfig) -> keras.layers.Layer:
    """Return the cell that its class's ``from_config`` makes.

    Keras's own classes are called by their names (``GRUCell``), as ``keras.saving.get_registered_name``
    calls them; those that others register are ``package>name``. Only a class whose ``call`` takes
    ``states`` is made: a config must not have any other layer do what it does when it is made.

    Raises:
        ConfigError: there is no such cell, or its class does not take the config.
    """
    layers = _layers(settings)
    cells = {name: cls for name, cls in layers.items() if _is_cell(cls)}
    if settings.cell not in cells:
        rule = "an RNN cell" if settings.cell in layers else f"a cell that {settings.package} registers"
        raise ConfigError(f"'cell' must be {rule}: {settings.cell!r}{did_you_mean(settings.cell, cells)}")
    cls = cells[settings.cell]
    try:
        cell = cls.from_config(copy.deepcopy(settings.config))
        _ = cell.state_size  # of what the config says, which some classes look at only here
    except Exception as error:  # whatever a class has against a config
        given, hints = shown(settings.config), "".join(_hints(cls, settings.config))
        what = f"'config' must be one that {settings.cell} takes: {given}{hints} ({_reason(error)})"
        raise ConfigError(what) from error
    return cell


def _layers(settings: RegisteredConfig) -> dict[str, type]:
    """Every layer that the cell's package registers, by name."""
    package = settings.package
    try:
        module = importlib.import_module(PACKAGES[package])
    except ImportError as error:
        what = f"'cell' must be of a package that is installed: {settings.cell!r}; pip install {package}"
        raise ConfigError(f"{what} ({error})") from error
    named = vars(module) if package == "keras" else keras.saving.get_custom_objects()
    prefix = "" if package == "keras" else f"{package}>"
    return {
        name: cls
        for name, cls in named.items()
        if name.startswith(prefix) and isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
    }


def _is_cell(cls: Any) -> bool:
    # Cells inside a config would each name a module; a loop stacks cells itself.
    stack = issubclass(cls, keras.layers.StackedRNNCells)
    return "states" in inspect.signature(cls.call).parameters and not stack


def _hints(cls: type, config: dict[str, Any]) -> Iterator[str]:
    """What to call a setting that the class has no argument for."""
    arguments = [name for one in (cls, keras.layers.Layer) for name in inspect.signature(one).parameters]
    for name in config:
        if name not in arguments:
            yield f"; no setting {name!r}{did_you_mean(name, inspect.signature(cls).parameters)}"


def _reason(error: Exception) -> str:
    """What an error says, in one line, without the config that Keras puts before it."""
    _, wrapped, reason = message(error).rpartition("Exception encountered: ")
    return " ".join([*([] if wrapped else [f"{type(error).__name__}:"]), *reason.split()])
