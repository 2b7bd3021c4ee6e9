"""Any cell in Keras's registry, by its registered name."""

import copy
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras

from superloop_core import ConfigError, PartConfig
from superloop_core.errors import did_you_mean, message, short_repr
from superloop_core.layer import check_keras_config
from superloop_plugin_cells.settings import PACKAGES, RegisteredConfig, allowed_packages

NAME = "superloop-plugin-cells:keras"


def registered(settings: RegisteredConfig) -> keras.layers.Layer:
    """Make a cell with its class's ``from_config``.

    Names are those of ``keras.saving.get_registered_name``: Keras's classes by their class names
    (``GRUCell``), other registered classes as ``package>name``. Only a class whose ``call`` has an argument
    ``states`` is instantiated, so that a config cannot run the constructors of other layers.

    Raises:
        ConfigError: there is no such cell, or its class rejects the config.
    """
    layers = _layers(settings)
    cells = {name: cls for name, cls in layers.items() if _is_cell(cls)}
    if settings.cell not in cells:
        rule = "an RNN cell" if settings.cell in layers else f"a cell registered by {settings.package}"
        raise ConfigError(f"'cell' must be {rule}: {settings.cell!r}{did_you_mean(settings.cell, cells)}")
    cls = cells[settings.cell]
    if problems := check_keras_config(settings.config, "config"):
        raise ConfigError(f"'config' must be valid for {settings.cell}: {problems[0]}")
    try:
        cell = cls.from_config(copy.deepcopy(settings.config))
        _ = cell.state_size  # some classes check their config only here
    except Exception as error:  # a class may raise anything
        value, hints = short_repr(settings.config), "".join(_hints(cls, settings.config))
        what = f"'config' must be valid for {settings.cell}: {value}{hints} ({_reason(error)})"
        raise ConfigError(what) from error
    return cell


def part_of(cell: Any) -> PartConfig | None:
    """Return a Keras cell as a part; None: a config cannot hold what makes another like it."""
    if not isinstance(cell, keras.layers.Layer) or not _is_cell(type(cell)):
        return None
    try:
        config = _config_of(cell)
        settings = RegisteredConfig(cell=keras.saving.get_registered_name(type(cell)), config=config)
        equal = _config_of(registered(settings)) == config
    except Exception:  # of the class's methods, which may raise anything, or of the settings
        return None
    return PartConfig(use=NAME, settings=settings, given=cell) if equal else None


def _config_of(cell: keras.layers.Layer) -> dict[str, Any]:
    """Return a cell's config without what its loop decides, and what a config file cannot hold."""
    config: dict[str, Any] = _plain(cell.get_config())
    return {name: value for name, value in config.items() if name not in ("name", "dtype")}


def _plain(value: Any) -> Any:
    """Return a value of a config without None, which stands for a default, and without names of modules."""
    if isinstance(value, dict):
        dropped = ("module", "registered_name") if "class_name" in value else ()
        kept = {name: held for name, held in value.items() if held is not None and name not in dropped}
        return {name: _plain(held) for name, held in kept.items()}
    return [_plain(held) for held in value] if isinstance(value, list | tuple) else value


def _layers(settings: RegisteredConfig) -> dict[str, Any]:
    """Return all layers that the cell's package registers, by name."""
    package = settings.package
    module = None
    try:
        packages = PACKAGES if package == "keras" else allowed_packages()  # which loads all plugins
        if package in packages:
            module = importlib.import_module(packages[package])
    except ImportError as error:
        what = f"'cell' must come from an installed package: {settings.cell!r}; pip install {package}"
        raise ConfigError(f"{what} ({error})") from error
    named = vars(module) if package == "keras" else keras.saving.get_custom_objects()
    prefix = "" if package == "keras" else f"{package}>"
    return {
        name: cls
        for name, cls in named.items()
        if name.startswith(prefix) and isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
    }


def _is_cell(cls: Any) -> bool:
    # The config of stacked cells names modules; use several cells, or `layers`, instead.
    stack = issubclass(cls, keras.layers.StackedRNNCells)
    return "states" in inspect.signature(cls.call).parameters and not stack


def _hints(cls: type, config: dict[str, Any]) -> Iterator[str]:
    """Suggest a name for each setting that the class has no argument for."""
    arguments = [name for one in (cls, keras.layers.Layer) for name in inspect.signature(one).parameters]
    for name in config:
        if name not in arguments:
            yield f"; no setting {name!r}{did_you_mean(name, inspect.signature(cls).parameters)}"


def _reason(error: Exception) -> str:
    """Return an error's message in one line, without the config that Keras puts before it."""
    _, wrapped, reason = message(error).rpartition("Exception encountered: ")
    return " ".join([*([] if wrapped else [f"{type(error).__name__}:"]), *reason.split()])
