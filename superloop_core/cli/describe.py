"""``superloop describe``."""

import json
from collections.abc import Iterable
from typing import Any

import attrs
import click

from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.cli.streams import table_console
from superloop_core.describe.plugin import Description, Setting, described
from superloop_core.errors import printable
from superloop_core.registry.specs import LOCAL
from superloop_core.system_settings import shape_in_words


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def describe(name: str, as_json: bool) -> None:
    """Describe a plugin: settings, sizes, sources, reference, origin.

    NAME is its name in configs; write cell:NAME or system:NAME where there are both.
    """
    registry = installed_plugins()
    records = registry.find(name)
    with output_to_stderr():
        descriptions = [described(record) for record in records]
    if as_json:
        click.echo(json.dumps([attrs.asdict(description) for description in descriptions], indent=2))
        return
    for index, (record, description) in enumerate(zip(records, descriptions, strict=True)):
        if index:
            click.echo("\n" + "-" * 72 + "\n")
        _print(description, dict.fromkeys([registry.shortest_name(record), record.qualified_name]))


def _print(shown: Description, names: Iterable[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    console.print(
        Text.assemble((shown.name, "bold cyan"), f", a {shown.kind}"),
        Text(printable(shown.summary)),
        "",
        sep="\n",
    )
    if shown.settings:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("setting", "type", "default", "meaning"):
            table.add_column(column, style="cyan" if column == "setting" else "")
        for setting in shown.settings:
            kind = f"{setting.type} {setting.range}".strip()
            cells = (setting.name, kind, _default(setting), setting.meaning)
            table.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(table)
        console.print()
    sources = shown.sizes.get("sources", {})
    facts = {
        "example": ", ".join(f"{name} = {toml(value)}" for name, value in shown.example.items()),
        "control size": str(shown.sizes.get("control_size", "")),
        "output size": str(shown.sizes.get("output_size", "")),
        "sources": ", ".join(f"{name} {shape_in_words(shape)}" for name, shape in sources.items()),
        "reference": shown.reference,
        "aliases": ", ".join(shown.aliases),
        "installed by": f"{shown.distribution} {shown.version} (entry point {shown.entry_point})"
        if shown.distribution != LOCAL
        else "nothing: it is defined by this process",
        "factory": shown.factory,
        "in configs": ", or ".join(f"use = {toml(name)}" for name in names),
    }
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact:
            grid.add_row(Text(name, style="bold"), Text(printable(fact)))
    console.print(grid)


def _default(setting: Setting) -> str:
    if setting.required:
        return "must be given"
    return "none" if setting.default is None else toml(setting.default)


def toml(value: Any) -> str:
    """Return a value as TOML writes it, in a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(held)}" for name, held in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return json.dumps(value)
