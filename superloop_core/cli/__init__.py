"""The command line, ``superloop``."""

import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from superloop_core.cli import commands, streams
from superloop_core.errors import SuperloopError, reason
from superloop_core.registry.registry import Registry, load_registry
from superloop_core.registry.selection import BLOCK, Selection


class Commands(click.Group):
    """The commands; the error about a missing one names the plugins that are excluded."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a name, as click does."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = ", ".join(dict.fromkeys(plugin.distribution for plugin in load_registry().blocked))
            if not names:
                raise
            raise click.UsageError(f"{error.message} Plugins are excluded: {names}.", ctx) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="superloop-core")
@click.option(
    "-p",
    "_plugin",
    multiple=True,
    metavar="no:NAME",
    expose_value=False,
    help="Exclude a plugin, by its name or its distribution's; may be repeated.",
)
def cli() -> None:
    """Recurrent networks with external memory, as plugins."""


# A registry of its own: these commands work whatever is installed, and no plugin replaces them.
_core = Registry(selection=Selection(strict=True))
_core.register(commands, distribution="superloop-core")
_core.add_commands(cli)


def _block(arguments: list[str]) -> None:
    """Block the plugins of ``-p no:NAME``, before the command line is parsed: plugins add commands to it."""
    given = list(arguments)
    while given and given[0].startswith("-"):
        option = given.pop(0)
        if not option.startswith("-p"):
            continue
        value = option[2:] or (given.pop(0) if given else "")
        if not value.startswith("no:") or not value[3:]:
            raise SuperloopError(f"-p needs no:NAME, with the name of a plugin to exclude: {value!r}")
        os.environ[BLOCK] = ",".join(filter(None, (os.environ.get(BLOCK), value[3:])))


def main() -> None:
    """Run the command line: exit with 2, and no traceback, on an error of ours or the system's."""
    streams.open_missing()
    try:
        with streams.flushed():
            _main()
    except SuperloopError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{_path_of(error)}: {reason(error)}")


def _main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow logs its start-up otherwise
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")  # large tensors keep their pages from step to step
    _block(sys.argv[1:])
    registry = load_registry()
    registry.add_commands(cli)
    for plugin in registry.broken:
        click.echo(f"warning: {plugin.distribution} is broken: {plugin.reason}", err=True)
    for conflict in registry.conflicts:
        click.echo(f"warning: {conflict}", err=True)
    cli()


def _fail(text: str) -> NoReturn:
    with suppress(OSError, ValueError):  # where stderr is full or closed, the exit status says it
        click.echo(f"superloop: error: {text}", err=True)
    sys.exit(2)


def _path_of(error: OSError) -> str:
    known = isinstance(error.filename, str | bytes)
    return os.fsdecode(error.filename) if known else "the output or a file"
