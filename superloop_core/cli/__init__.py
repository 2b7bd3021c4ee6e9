"""The command line, ``superloop``."""

import json
import os
import sys
from collections.abc import Iterable, Mapping

import click

from superloop_core import __version__
from superloop_core.errors import SuperloopError
from superloop_core.registry import Registry, load_registry


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="superloop-core")
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
    rows: list[dict[str, str | None]] = [
        {
            "name": record.spec.name,
            "kind": record.spec.kind,
            "summary": record.spec.summary,
            "distribution": record.distribution,
            "version": record.version,
            "state": record.state,
        }
        for record in registry.records
    ]
    return rows + [
        {
            "name": plugin.entry_point,
            "kind": None,
            "summary": plugin.reason,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "state": plugin.state,
        }
        for plugin in registry.broken
    ]


def _print_table(rows: Iterable[Mapping[str, str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("kind")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("summary")
    table.add_column("from", style="dim", overflow="fold")  # never cut: it is part of a long name
    table.add_column("state")
    for row in rows:
        origin = f"{row['distribution']} {row['version']}"
        cells = (row["kind"] or "?", row["name"] or "", row["summary"] or "", origin)
        state = Text(row["state"] or "", style="" if row["state"] == "ready" else "red")
        table.add_row(*map(Text, cells), state)  # as Text: a plugin's words are no markup
    Console().print(table)


def main() -> None:
    """Run the command line: exit with 2, and no traceback, on an error of ours."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow logs its start-up otherwise
    registry = load_registry()
    registry.add_commands(cli)
    for plugin in registry.broken:
        click.echo(f"warning: {plugin.distribution} is broken: {plugin.reason}", err=True)
    try:
        cli()
    except SuperloopError as error:
        click.echo(f"superloop: error: {error}", err=True)
        sys.exit(2)
