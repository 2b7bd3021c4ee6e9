"""Objects in the place of a name: cells, systems and loops that a program has made, and their classes."""

import datetime
import numbers
from collections.abc import Mapping
from inspect import isroutine
from pathlib import Path
from typing import Any

import attrs

from superloop_core.config.schema import PartConfig
from superloop_core.errors import PluginError, short_repr
from superloop_core.registry.local import SPECS, config_of
from superloop_core.registry.registry import Registry
from superloop_core.registry.specs import PluginSpec, place_of

# What a config file may hold, or a program may put in its place by mistake.
_DATA = (
    Mapping, str, bytes, numbers.Number, list, tuple, set, frozenset, datetime.date, datetime.time, Path,
    type(None),
)  # fmt: skip


def is_object(value: Any) -> bool:
    """Whether a value is no data of a config, but an object, a class or a function."""
    return not isinstance(value, _DATA)


def is_factory(value: Any) -> bool:
    """Whether an object is a class or a function, which makes a part from settings."""
    return isinstance(value, type) or isroutine(value)


def spec_of(registry: Registry, kind: str, factory: Any) -> tuple[str, PluginSpec]:
    """Return the qualified name and the spec of a class or a function; no name: it is registered nowhere.

    Raises:
        PluginError: nothing says what its settings are, or it is the factory of several plugins.
    """
    records = registry.made_by(kind, factory)
    if len(records) == 1:
        return records[0].qualified_name, records[0].spec
    shown = ".".join(place_of(factory))
    if records:
        names = " or ".join(repr(record.qualified_name) for record in records)
        raise PluginError(f"{shown} makes several plugins; write use = {names}")
    config = config_of(factory)
    if config is None:
        raise PluginError(
            f"{shown} is registered nowhere, and does not say what its settings are; give an object that it "
            f"made, or write @superloop_core.register above it"
        )
    return "", SPECS[kind](name="given", config=config, factory=factory, summary="")


def part_of(registry: Registry, kind: str, given: Any) -> PartConfig:
    """Return an object as a part; without ``use`` where nothing can make another like it.

    Raises:
        PluginError: it cannot be a system.
    """
    for record in registry.made_by(kind, type(given)):
        for settings in vars(given).values():
            if isinstance(settings, record.spec.config):
                return PartConfig(use=record.qualified_name, settings=settings, given=given)
    part = registry.hook.superloop_part_of(part=given, kind=kind)
    if isinstance(part, PartConfig):
        return part
    if kind == "system" and not all(hasattr(given, name) for name in ("control_size", "output_size", "step")):
        raise PluginError(f"must be a System, a class of one, or a table: {short_repr(given)}")
    settings = getattr(given, "config", None)
    return PartConfig(use="", settings=settings if attrs.has(type(settings)) else given, given=given)
