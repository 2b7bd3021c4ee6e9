"""``superloop plugins``."""

import json
from collections.abc import Iterable
from typing import Any

import click

from superloop_core.cli.installed import installed_plugins
from superloop_core.cli.streams import table_console
from superloop_core.errors import cut, printable

WIDE = 120  # characters that a row needs to fit in a line
COLUMNS = ("name", "kind", "summary", "distribution", "version", "state")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
@click.option("--broken", is_flag=True, help="List broken plugins only, with tracebacks.")
@click.option("--timings", is_flag=True, help="Tell how long each takes to import, the slowest first.")
def plugins(as_json: bool, broken: bool, timings: bool) -> None:
    """List the cells, systems, tasks and metrics that are installed."""
    registry = installed_plugins()
    listed: list[Any] = [*registry.records, *registry.blocked, *registry.broken]
    if broken:
        listed = list(registry.broken)
    if timings:
        listed.sort(key=lambda plugin: -plugin.seconds)
    if as_json:
        columns = (*COLUMNS, *(["seconds"] if timings else []), *(["traceback"] if broken else []))
        click.echo(json.dumps([{name: getattr(p, name) for name in columns} for p in listed], indent=2))
    elif listed:
        _print_table(listed, timings)
        for plugin in listed if broken else ():
            click.echo(f"\n{plugin.distribution}, entry point {printable(plugin.entry_point)}:")
            click.echo(printable(plugin.traceback))
    elif broken:
        click.echo("Nothing is broken.")
    else:
        click.echo("No plugins are installed: pip install superloop-plugin-NAME")


def _print_table(listed: Iterable[Any], timings: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    narrow = console.width < WIDE
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("kind", "name", *(["import"] if timings else []), *([] if narrow else ["from"])):
        table.add_column(column, no_wrap=True, justify="right" if column == "import" else "left")
    table.add_column("summary, and where it is from" if narrow else "summary")
    for plugin in listed:
        summary = Text(cut(" ".join(plugin.summary.split()), 500))  # as Text: a plugin's words are no markup
        if plugin.state != "ready":
            summary = Text(f"{plugin.state}: ", style="red") + summary
        origin = Text(f"{plugin.distribution} {plugin.version}", style="dim")
        row = [Text(plugin.kind or "?"), Text(printable(plugin.name), style="cyan")]
        row += [Text(f"{plugin.seconds * 1000:.1f} ms")] if timings else []
        row += [summary + "\n" + origin] if narrow else [origin, summary]
        table.add_row(*row)
    console.print(table)
