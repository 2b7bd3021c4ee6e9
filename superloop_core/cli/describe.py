"""``superloop describe``."""

import json
from typing import Any

import attrs
import click

from superloop_core.describe.plugin import Description, Setting, described
from superloop_core.registry.registry import load_registry


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def describe(name: str, as_json: bool) -> None:
    """Tell all that a plugin tells of itself: its settings, what it takes and gives, its source.

    NAME is as configs name it; cell:NAME or system:NAME where there are both.
    """
    descriptions = [described(record) for record in load_registry().find(name)]
    if as_json:
        click.echo(json.dumps([attrs.asdict(description) for description in descriptions], indent=2))
        return
    for index, description in enumerate(descriptions):
        if index:
            click.echo("\n" + "-" * 72 + "\n")
        _print(description)


def _print(told: Description) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(
        Text.assemble((told.name, "bold cyan"), f", a {told.kind}"), Text(told.summary), "", sep="\n"
    )
    if told.settings:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("setting", "type", "default", "meaning"):
            table.add_column(column, style="cyan" if column == "setting" else "")
        for setting in told.settings:
            kind = f"{setting.type} {setting.range}".strip()
            table.add_row(*map(Text, (setting.name, kind, _default(setting), setting.meaning)))
        console.print(table)
        console.print()
    facts = {
        "example": ", ".join(f"{name} = {toml(value)}" for name, value in told.example.items()),
        "takes": _takes(told.sizes),
        "gives": _numbers(told.sizes, "output_size"),
        "keeps": _numbers(told.sizes, "state_size"),
        "source": told.reference,
        "aliases": ", ".join(told.aliases),
        "from": f"{told.distribution} {told.version} (entry point {told.entry_point})",
        "made by": told.factory,
        "in configs": f"use = {toml(told.name)}, or use = {toml(told.qualified_name)}",
    }
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact:
            grid.add_row(Text(name, style="bold"), Text(fact))
    console.print(grid)


def _default(setting: Setting) -> str:
    if setting.required:
        return "must be given"
    return "none" if setting.default is None else toml(setting.default)


def _takes(sizes: dict[str, Any]) -> str:
    told = [_numbers(sizes, "control_size") + " of control"] if "control_size" in sizes else []
    for name, shape in sizes.get("sources", {}).items():
        told.append(f"{name} (batch, {', '.join('any' if n is None else str(n) for n in shape)})")
    return ", ".join(told)


def _numbers(sizes: dict[str, Any], name: str) -> str:
    if name not in sizes:
        return ""
    if sizes[name] is None:
        return "what the sequence decides"
    return f"{sizes[name]} number{'' if sizes[name] == 1 else 's'} a row"


def toml(value: Any) -> str:
    """Return a value as TOML writes it, in a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(held)}" for name, held in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return json.dumps(value)
