"""Static checks: of a plugin's declarations, without Keras."""

import importlib.metadata
import json
import subprocess
import sys
from functools import cache
from typing import Any

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from superloop_core.config.reader import read_loop
from superloop_core.config.settings import read_settings, settings_to_dict
from superloop_core.describe.plugin import described
from superloop_core.errors import ConfigError, Problem
from superloop_core.registry.entry_point import CORE
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.testing.controller import DISTRIBUTION, NAME, add_controller
from superloop_core.testing.report import CheckFailed

HEAVY = ("keras", "tensorflow", "torch", "jax", "numpy", "h5py", "matplotlib", "pandas", "scipy")
IMPORT_SECONDS = 0.5

# Run in a process of its own; the core is imported before the clock starts.
IMPORTER = """
import importlib, json, sys, time
import superloop_core
sys.path[:] = json.loads(sys.argv[2])
began = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def metadata(record: PluginRecord) -> None:
    """It has a summary of one line, and its distribution requires superloop-core within bounds."""
    summary = record.spec.summary
    if not summary.strip() or "\n" in summary or len(summary) > 100:
        raise CheckFailed(f"summary must be one line of 1 to 100 characters: {summary!r}")
    try:
        requires = importlib.metadata.distribution(record.distribution).requires or []
    except importlib.metadata.PackageNotFoundError:
        return  # registered by hand
    if canonicalize_name(record.distribution) == CORE:
        return
    of_core = [r for r in map(Requirement, requires) if canonicalize_name(r.name) == CORE]
    if not of_core:
        raise CheckFailed(f"{record.distribution} must require {CORE}: add it to 'dependencies'")
    if not any(bound.operator in ("<", "<=", "==", "~=") for r in of_core for bound in r.specifier):
        rule = f"{record.distribution} must say up to which {CORE} it works, such as {CORE}>=0.1,<0.2"
        raise CheckFailed(f"{rule}: {of_core[0]}")


def description(record: PluginRecord) -> None:
    """Every setting has a type, and a description in its class's docstring."""
    for setting in described(record).settings:
        if setting.type == "anything":
            raise CheckFailed(f"the setting {setting.name!r} must have a type")
        if not setting.meaning:
            raise CheckFailed(
                f"the setting {setting.name!r} must be described under 'Args:' in the docstring of "
                f"{record.spec.config.__name__}"
            )


def light_module(record: PluginRecord) -> None:
    """Its light module imports neither Keras nor TensorFlow, nor another slow package."""
    imported = set(_imported(record.module)["modules"])
    if heavy := sorted(imported.intersection(HEAVY)):
        raise CheckFailed(
            f"importing {record.module} imports {', '.join(heavy)}; import them in the factory's module"
        )


def import_time(record: PluginRecord) -> None:
    """Its light module is imported in half a second."""
    seconds = min(_imported(record.module, attempt)["seconds"] for attempt in range(2))
    if seconds > IMPORT_SECONDS:
        raise CheckFailed(f"importing {record.module} takes {seconds:.2f} s (at most {IMPORT_SECONDS})")


def round_trip(record: PluginRecord) -> None:
    """Its example is valid, and a saved config restores it."""
    first = example_of(record)
    saved = json.loads(json.dumps(settings_to_dict(first)))
    again = _read(record, saved)
    if first != again:
        raise CheckFailed(f"{first} came back from a saved config as {again}")


def mistakes(record: PluginRecord) -> None:
    """A misspelt setting, or one of a wrong type, is rejected with a message."""
    example = dict(record.spec.example)
    wrong: list[tuple[str, dict[str, Any]]] = [("misspelt_setting", example | {"misspelt_setting": 1})]
    for field in attrs.fields(record.spec.config):
        if field.init:
            wrong.append((field.alias, example | {field.alias: [{"neither": "a number nor a string"}]}))
    for name, settings in wrong:
        try:
            read = _read(record, settings)
        except ConfigError as error:
            if name not in str(error):
                raise CheckFailed(f"the message about a wrong {name!r} does not name it: {error}") from error
        else:
            raise CheckFailed(f"takes {name} = {settings[name]!r}: {read}")


CHECKS = (metadata, description, light_module, import_time, round_trip, mistakes)


def example_of(record: PluginRecord) -> Any:
    """Return the example's settings.

    Raises:
        ConfigError: they cannot be read.
    """
    return _read(record, record.spec.example)


def _read(record: PluginRecord, settings: dict[str, Any]) -> Any:
    """Read settings as a config's."""
    if record.kind in ("cell", "system"):
        add_controller(load_registry())
        part = settings | {"use": record.qualified_name}
        parts = {
            "cells": [part if record.kind == "cell" else {"use": f"{DISTRIBUTION}:{NAME}"}],
            "systems": [part] if record.kind == "system" else [],
        }
        loop = read_loop({"inputs": 2, **parts}, load_registry())
        return (loop.cells if record.kind == "cell" else loop.systems)[0].settings
    problems: list[Problem] = []
    read: Any = read_settings(record.spec.config, settings, record.name, problems)
    if problems:
        raise ConfigError(problems)
    return read


@cache
def _imported(module: str, attempt: int = 0) -> dict[str, Any]:
    del attempt
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER, module, json.dumps(sys.path)], capture_output=True, text=True
    )
    if done.returncode:
        raise CheckFailed(f"cannot import {module} by itself: {done.stderr.strip().splitlines()[-1]}")
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed
