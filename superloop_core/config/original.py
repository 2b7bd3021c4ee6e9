"""The flat config dict of the original superloop (csirmaz/superloop, 2018), as a loop of today."""

from collections.abc import Mapping
from typing import Any

import attrs
from attrs.validators import ge, le, min_len

from superloop_core.config.files import load_dict
from superloop_core.config.reader import Reader, read_loop
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import short_repr
from superloop_core.registry.registry import Registry


def _false_or_positive(instance: Any, attribute: Any, value: Any) -> None:
    if value is not False and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{attribute.name!r} must be False or an integer >= 1: {value!r}")


@attrs.frozen(kw_only=True)
class OriginalConfig:
    """The keys of the original's config, with its defaults where it had any.

    ``recurrent_model`` and ``superloop_models`` hold names; a system's settings are under its
    name. ``printvalues`` is False, or how many values of a trace to print at each timestep.
    """

    timesteps: int = attrs.field(validator=ge(1))
    model_inputs: int = attrs.field(validator=ge(0))
    model_outputs: int = attrs.field(validator=ge(0))
    recurrent_model: str
    recurrent_layers: int = attrs.field(validator=[ge(1), le(100)])
    recurrent_units: int = attrs.field(validator=ge(1))
    superloop_models: tuple[str, ...] = ()
    suppress_output: int = attrs.field(default=0, validator=ge(0))
    model_name: str = attrs.field(default="Main", validator=min_len(1))
    printvalues: Any = attrs.field(default=False, validator=_false_or_positive)
    # Read by the original's own example, not by its Model.
    batch_size: Any = None
    epochs: Any = None
    steps_per_epoch: Any = None
    tensorboard_logs: Any = None
    save_model_file: Any = None
    save_json_file: Any = None
    load_model_file: Any = None


def is_original(data: Mapping[str, Any]) -> bool:
    """Return whether a dict is the original's flat form."""
    return "recurrent_model" in data or "superloop_models" in data


def read_original(source: Mapping[str, Any], registry: Registry) -> tuple[OriginalConfig, LoopConfig]:
    """Read the original's flat dict; each system's id is its name in ``superloop_models``.

    Raises:
        ConfigError: with every problem found.
    """
    data, reader = load_dict(source), Reader(registry)
    models = data.get("superloop_models", ())
    names = [name for name in models if isinstance(name, str)] if isinstance(models, list | tuple) else []
    own = {key: value for key, value in data.items() if key not in names}
    original = reader.settings(OriginalConfig, own, "config", names)
    systems = [_system(name, data, reader) for name in names]
    if isinstance(data.get("recurrent_model"), str):
        reader.resolve("cell", data["recurrent_model"], "config.recurrent_model")
    reader.raise_problems()
    cell = {
        "use": original.recurrent_model,
        "units": original.recurrent_units,
        "layers": original.recurrent_layers,
    }
    loop = {
        "timesteps": original.timesteps,
        "inputs": original.model_inputs,
        "outputs": original.model_outputs,
        "suppress_output": original.suppress_output,
        "cells": [cell],
        "systems": systems,
    }
    return original, read_loop(loop, registry, "config")


def _system(name: str, data: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """Return a system's table, its settings by today's names."""
    settings = data.get(name)
    if not isinstance(settings, Mapping):
        what = f"the settings of {name!r} must be a dict under its name: {short_repr(settings)}"
        reader.report("config", what)
        return {}
    plugin = reader.resolve("system", name, "config.superloop_models")
    if plugin is None:
        return {}
    today = plugin.spec.original_names
    for theirs, ours in today.items():
        if theirs in settings and ours in settings:
            reader.report(f"config.{name}", f"{theirs!r} and {ours!r} are one setting; use one of them")
    renamed = {today.get(key, key): value for key, value in settings.items()}
    reader.settings(plugin.spec.config, renamed, f"config.{name}")
    return {"use": name, "id": name} | renamed
