"""The core's hooks, which a plugin may implement; a plugin may specify further ones.

A plugin is a module named by an entry point in the group ``superloop.plugins``. It is imported
whenever plugins are listed, so it must import neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from superloop_core.config.schema import Config, Fact, PartConfig
    from superloop_core.errors import Problem
    from superloop_core.registry.specs import PluginSpec, TableSpec

PROJECT = "superloop"
ENTRY_POINT_GROUP = "superloop.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def superloop_register() -> Iterable[PluginSpec]:  # type: ignore[empty-body]
    """Yield a spec for each cell, system, task and metric of the plugin.

    Called once, when the plugin is loaded.
    """


@hookspec
def superloop_config_tables() -> Iterable[TableSpec]:  # type: ignore[empty-body]
    """Yield a spec for each top-level table of a config file (beside ``[loop]``) that the plugin owns.

    Called once, when the plugin is loaded.
    """


@hookspec
def superloop_add_commands(cli: click.Group) -> None:
    """Add commands to the ``superloop`` command line.

    Called once, when the command line needs it: define the commands, and import what they need in their
    bodies. ``cli`` is an empty group; two distributions with a command of one name are in conflict.
    """


@hookspec
def superloop_add_hookspecs() -> Iterable[ModuleType | type[Any]]:  # type: ignore[empty-body]
    """Yield modules or classes whose functions, marked with ``hookspec``, are hooks for other plugins.

    Called once, when the plugin is imported. ``load_registry().hook.superloop_NAME(...)`` calls the
    implementations of all plugins.
    """


@hookspec(firstresult=True)
def superloop_part_of(part: Any, kind: str) -> PartConfig | None:
    """Return an object that is given in the place of a table as a part of a loop; None: it is not yours.

    A cell or a system of a class that is registered needs no hook.

    Args:
        part: such as a cell of Keras.
        kind: ``cell`` or ``system``.

    Returns:
        ``use`` and ``settings`` of a plugin that makes another like it, for files; and ``given``, the Keras
        cell, Builder or System that is used: ``part`` itself, or one around it.
    """


@hookspec(firstresult=True)
def superloop_complete_tables(tables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a config with what its ``[loop]`` leaves out and a table of yours decides; None: nothing.

    Called by ``superloop validate``, before the config is read. Leave alone what is given, and what is wrong:
    the reading reports it.

    Args:
        tables: those of the config, as they are written.
    """


@hookspec
def superloop_check_config(config: Config) -> Iterable[Problem | Fact]:  # type: ignore[empty-body]
    """Yield the problems of a config that is valid as such: what a command of yours would refuse it for.

    Facts that it yields too, such as what was read of a file, are printed.

    Called by ``superloop validate``, and by ``superloop init`` with what it writes. Import what the check
    needs in the body.

    Args:
        config: the whole config; ``config.tables`` has the tables of plugins.
    """
