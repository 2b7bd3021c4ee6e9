"""The command line, ``superloop``."""

import json
import os
import sys
from collections.abc import Iterable, Mapping

import click

from superloop_core import __version__
from superloop_core.errors import SuperloopError
from superloop_core.registry import Registry, load_registry
from superloop_core.selection import BLOCK


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="superloop-core")
@click.option(
    "-p",
    "_plugin",
    multiple=True,
    metavar="no:NAME",
    expose_value=False,
    help="Leave a plugin out, by its name or its distribution's; may be repeated.",
)
def cli() -> None:
    """Recurrent networks with external memory, as plugins."""


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def plugins(as_json: bool) -> None:
    """List the cells, systems and tasks that are installed."""
    rows = _rows(load_registry())
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        _print_table(rows)
    else:
        click.echo("No plugins are installed: pip install superloop-plugin-NAME")


def _rows(registry: Registry) -> list[dict[str, str | None]]:
    columns = ("name", "kind", "summary", "distribution", "version", "state")
    plugins = (*registry.records, *registry.blocked, *registry.broken)
    return [{column: getattr(plugin, column) for column in columns} for plugin in plugins]


def _print_table(rows: Iterable[Mapping[str, str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("kind")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("from", style="dim", no_wrap=True)  # whole: it is part of a long name
    table.add_column("summary")
    for row in rows:
        origin = f"{row['distribution']} {row['version']}"
        summary = Text(row["summary"] or "")  # as Text: a plugin's words are no markup
        if row["state"] != "ready":
            summary = Text(f"{row['state']}: ", style="red") + summary
        table.add_row(*map(Text, (row["kind"] or "?", row["name"] or "", origin)), summary)
    Console().print(table)


def _block(arguments: list[str]) -> None:
    """Block what ``-p no:NAME`` names before a command: plugins are read before the command line is."""
    given = list(arguments)
    while given and given[0].startswith("-"):
        option = given.pop(0)
        if not option.startswith("-p"):
            continue
        value = option[2:] or (given.pop(0) if given else "")
        if not value.startswith("no:") or not value[3:]:
            raise SuperloopError(f"-p takes no:NAME, the name of a plugin to leave out: {value!r}")
        os.environ[BLOCK] = ",".join(filter(None, (os.environ.get(BLOCK), value[3:])))


def main() -> None:
    """Run the command line: exit with 2, and no traceback, on an error of ours."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow logs its start-up otherwise
    try:
        _block(sys.argv[1:])
        registry = load_registry()
        registry.add_commands(cli)
    except SuperloopError as error:
        click.echo(f"superloop: error: {error}", err=True)
        sys.exit(2)
    for plugin in registry.broken:
        click.echo(f"warning: {plugin.distribution} is broken: {plugin.reason}", err=True)
    try:
        cli()
    except SuperloopError as error:
        click.echo(f"superloop: error: {error}", err=True)
        sys.exit(2)
