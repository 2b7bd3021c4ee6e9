"""The installed plugins, for the command line: loaded once, with a warning for each that is not right."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import click

from superloop_core.cli.quiet import start_tensorflow
from superloop_core.errors import printable
from superloop_core.registry.local import load_file
from superloop_core.registry.registry import Registry, load_registry

MAX_WARNINGS = 20
# Words in a file that is likely to import TensorFlow, which prints notes unless we start it.
OF_TENSORFLOW = (b"keras", b"tensorflow", b"System", b"Builder")
_WARNED = "superloop_core.warned"
FILES = "superloop_core.files"


def installed_plugins() -> Registry:
    """Load all plugins, add their commands, and print warnings to stderr, once in a run of ``superloop``.

    Raises:
        PluginError: a plugin is broken or a name is in conflict, and ``SUPERLOOP_STRICT_PLUGINS`` is set.
    """
    context = click.get_current_context().find_root()
    commands = context.command.commands if isinstance(context.command, click.Group) else {}
    with output_to_stderr(), _undisturbed():
        registry = load_registry()
        registry.add_commands(click.Group(commands=dict(commands)))
    if not context.meta.get(_WARNED):
        context.meta[_WARNED] = True
        broken = [f"{plugin.distribution} is broken: {plugin.reason}" for plugin in registry.broken]
        warnings = [*broken, *registry.conflicts, *registry.unmatched]
        for sentence in warnings[:MAX_WARNINGS]:
            click.echo(f"warning: {printable(sentence)}", err=True)
        if len(warnings) > MAX_WARNINGS:
            click.echo(f"warning: and {len(warnings) - MAX_WARNINGS} more: superloop doctor", err=True)
    return registry


def load_files(paths: Iterable[Path]) -> None:
    """Import the files of ``-p FILE``: their plugins are those of this process.

    Raises:
        PluginError: one cannot be imported, or registers nothing.
    """
    for path in paths:
        with suppress(OSError):  # load_file reports it
            if any(word in path.read_bytes() for word in OF_TENSORFLOW):
                start_tensorflow()
        with output_to_stderr(), _undisturbed():
            load_file(path)


def plugin_files() -> list[Path]:
    """Return the files of ``-p FILE``, for a command that starts ``superloop`` anew."""
    context = click.get_current_context(silent=True)
    return [] if context is None else list(context.find_root().meta.get(FILES, ()))


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """Send to stderr what is printed meanwhile, also by compiled code and by processes that are started.

    For plugins that run while stdout is to hold one document. What they close or replace is restored.
    """
    _flush(sys.stdout)
    streams, copies = (sys.stdout, sys.stderr), {}
    for descriptor in (1, 2):
        with suppress(OSError):  # it is closed
            copies[descriptor] = os.dup(descriptor)
    if len(copies) == 2:
        os.dup2(2, 1)
    sys.stdout = sys.stderr = cast(TextIO, _Unclosable(sys.stderr))
    try:
        yield
    finally:
        _flush(sys.__stdout__)
        sys.stdout, sys.stderr = streams
        for descriptor, copy in copies.items():
            os.dup2(copy, descriptor)
            os.close(copy)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep plugins from waiting for input, and from changing the working directory that paths start from."""
    stdin, folder = sys.stdin, None
    with suppress(OSError):  # it was deleted
        folder = os.getcwd()
    with open(os.devnull) as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = stdin
            if folder is not None:
                os.chdir(folder)


class _Unclosable:
    """A stream that stays open."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def close(self) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _flush(stream: TextIO | None) -> None:
    with suppress(OSError, ValueError):  # a full disk; closed
        if stream is not None:
            stream.flush()
