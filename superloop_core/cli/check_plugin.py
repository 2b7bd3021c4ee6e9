"""``superloop check-plugin``."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.cli.quiet import start_tensorflow
from superloop_core.config.files import apply_overrides
from superloop_core.config.reader import read_config
from superloop_core.config.schema import PartConfig
from superloop_core.config.settings import settings_to_dict
from superloop_core.errors import SuperloopError, did_you_mean, printable
from superloop_core.registry.registry import Registry
from superloop_core.runs import replace_file

if TYPE_CHECKING:
    from superloop_core.testing import Result

STYLES = {"passed": "green", "failed": "red", "excused": "yellow"}
INDENT = " " * 8
Checked = tuple[str, dict[str, Any] | None]  # a plugin's name, and its settings; None: those of its example


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="Check every plugin that is installed.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check; may be repeated.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the example, such as depth=8, or a value of the config.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Check the plugins that a config names, each with its settings there.",
)
@click.option("--thorough", is_flag=True, help="Also draw settings around the example; needs hypothesis.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
@click.option("--badge", type=click.Path(path_type=Path), help="Write a badge to this SVG file.")
def check_plugin(
    names: tuple[str, ...],
    every: bool,
    only: tuple[str, ...],
    overrides: tuple[str, ...],
    config: Path | None,
    thorough: bool,
    as_json: bool,
    badge: Path | None,
) -> None:
    """Run the conformance kit: the checks that every plugin must pass.

    NAME is a plugin, or a distribution, whose plugins are all checked. The exit status is 0 only if every
    check holds, and 1 where one fails.
    """
    registry = installed_plugins()
    if config is not None and (names or every):
        raise SuperloopError("give either names or --config FILE, whose plugins are all checked")
    if every:
        names = (*names, *(f"{record.kind}:{record.qualified_name}" for record in registry.records))
    if not names and config is None:
        raise SuperloopError("name a plugin or a distribution, or write --all or --config FILE")
    start_tensorflow()
    from superloop_core import testing

    with output_to_stderr() if as_json else nullcontext():
        checked = list(_in_config(config, registry, overrides) if config else _named(names, overrides))
        results = tuple(_results(checked, only, thorough, silent=as_json))
    report = testing.Report(results=results)
    if badge is not None:
        picture = testing.badge(report)
        replace_file(badge, lambda new: new.write_text(picture))
    if as_json:
        shown = [attrs.asdict(result) for result in results]
        click.echo(json.dumps({"counts": report.counts, "results": shown}, indent=2))
    else:
        counts = ", ".join(f"{count} {key}" for key, count in report.counts.items())
        click.echo(f"{counts}, in {sum(result.seconds for result in results):.0f} s")
    sys.exit(0 if report.ok else 1)


def _results(
    checked: list[Checked], only: tuple[str, ...], thorough: bool, *, silent: bool
) -> "Iterator[Result]":
    """Run the checks; those of ``only`` need not be checks of every plugin."""
    from superloop_core.testing import check_plugin, conformance

    known = [{check.name for check in conformance(*one, thorough=thorough)} for one in checked]
    if unknown := set(only).difference(*known):
        raise SuperloopError(f"no check {min(unknown)!r}{did_you_mean(min(unknown), set().union(*known))}")
    for (name, settings), checks in zip(checked, known, strict=True):
        wanted = [check for check in only if check in checks]
        if wanted or not only:
            tell = (lambda result: None) if silent else _print
            yield from check_plugin(name, settings, only=wanted, thorough=thorough, tell=tell).results


def _named(names: tuple[str, ...], overrides: tuple[str, ...]) -> Iterator[Checked]:
    """Yield the plugins of the names that are given."""
    from superloop_core.testing.kit import find_records

    for name in names:
        for record in find_records(name):
            settings = apply_overrides(record.spec.example, overrides) if overrides else None
            yield f"{record.kind}:{record.qualified_name}", settings


def _in_config(path: Path, registry: Registry, overrides: tuple[str, ...]) -> Iterator[Checked]:
    """Yield the plugins that a config names."""
    config = read_config(path, registry, overrides)
    named: list[tuple[str, Any]] = [("cell", config.loop.cells), ("system", config.loop.systems)]
    named += [(registry.resolve_table(table).kind or "", value) for table, value in config.tables.items()]
    for kind, parts in named:
        for part in parts if isinstance(parts, tuple) else (parts,):
            if isinstance(part, PartConfig):
                yield f"{kind}:{part.use}", settings_to_dict(part.settings)


def _print(result: "Result") -> None:
    status = click.style(f"{result.status:<8}", fg=STYLES[result.status])
    lines = result.lines if result.status == "failed" else [result.message]
    first = f"{result.plugin} ({result.kind}) {result.check}  {lines[0]}".rstrip()
    click.echo("\n".join([status + printable(first), *(INDENT + printable(line) for line in lines[1:])]))
