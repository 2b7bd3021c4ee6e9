"""The command line, ``superloop``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from superloop_core.cli import commands, streams
from superloop_core.cli.installed import FILES, installed_plugins, load_files
from superloop_core.errors import SuperloopError, os_reason, printable, short_repr
from superloop_core.registry.registry import Registry
from superloop_core.registry.selection import BLOCK, Selection


class Commands(click.Group):
    """The core's commands, and those of plugins, which are loaded when they are needed.

    ``superloop --version`` and the help of one of the core's commands need none.
    """

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Parse the arguments; ``--help`` lists the commands of plugins, which takes a while."""
        with _interruptible():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _interruptible():
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Block the plugins of ``-p no:NAME`` and import the files of ``-p FILE``, as they add commands."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        files = []
        for value in given.get("_plugin") or ():
            name = value.removeprefix("no:").strip()
            if value.endswith(".py"):
                files.append(Path(value))
            elif not value.startswith("no:") or not name or name.startswith("no:") or "," in name:
                raise click.UsageError(
                    f"-p needs no:NAME, with the name of a plugin to exclude: {short_repr(value)}; "
                    "or FILE.py, a file to import",
                    ctx,
                )
            else:
                os.environ[BLOCK] = ",".join(filter(None, (os.environ.get(BLOCK), name)))
        load_files(files)
        ctx.meta[FILES] = files
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted(self._all(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name; None where there is none."""
        return self.commands.get(cmd_name) or self._all(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a name, as click does; the error names plugins that may have it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            registry, notes = installed_plugins(), ""
            for state, plugins in (("excluded", registry.blocked), ("broken", registry.broken)):
                if names := ", ".join(dict.fromkeys(plugin.distribution for plugin in plugins)):
                    notes += f" Plugins are {state}: {names}."
            raise click.UsageError(f"{error.message}{notes}", ctx) from error

    def _all(self, ctx: click.Context) -> dict[str, click.Command]:
        every = click.Group(commands=dict(self.commands))
        installed_plugins().add_commands(every)
        return dict(every.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="superloop-core")
@click.option(
    "-p",
    "_plugin",
    multiple=True,
    metavar="FILE|no:NAME",
    expose_value=False,
    help="Import FILE.py, whose plugins may be used then; or exclude a plugin, by its name or its "
    "distribution's.  May be repeated.",
)
def cli() -> None:
    """Recurrent networks with external memory, as plugins."""


# A registry of its own: these commands work whatever is installed, and no plugin replaces them.
_core = Registry(selection=Selection(strict=True))
_core.register(commands, distribution="superloop-core")
_core.add_commands(cli)


def main() -> None:
    """Run the command line: exit with 2 on an error of ours or the system's, and 130 on Ctrl-C."""
    streams.open_missing()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow logs its start-up otherwise
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")  # large tensors keep their pages from step to step
    os.environ.setdefault("SUPERLOOP_STORED_PROGRAMS", "1")  # what XLA compiled is loaded by the next process
    try:
        with streams.flushed():
            cli()
    except SuperloopError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{_path_of(error)}: {os_reason(error)}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the process with a line, and the status that a shell expects."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted", 130)


def _fail(text: str) -> NoReturn:
    _end(f"error: {text}", 2)


def _end(text: str, status: int) -> NoReturn:
    with suppress(OSError, ValueError):  # where stderr is full or closed, the exit status says it
        click.echo(f"superloop: {text}", err=True)
    sys.exit(status)


def _path_of(error: OSError) -> str:
    known = isinstance(error.filename, str | bytes)
    return printable(os.fsdecode(error.filename)) if known else "the output or a file"
