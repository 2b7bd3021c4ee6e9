"""The core's own commands: a light module, which adds them by the hook that plugins use."""

from importlib import import_module

import click

from superloop_core.registry.hookspecs import hookimpl

MODULES = ("plugins", "describe", "init", "validate", "doctor", "new_plugin", "check_plugin")


@hookimpl
def superloop_add_commands(cli: click.Group) -> None:
    """Add each module's command, named after it."""
    for name in MODULES:
        cli.add_command(getattr(import_module(f"superloop_core.cli.{name}"), name), name.replace("_", "-"))
