"""``superloop check-plugin``."""

import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import attrs
import click

from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.cli.quiet import start_tensorflow
from superloop_core.errors import SuperloopError, printable

if TYPE_CHECKING:
    from superloop_core.testing import Report

STYLES = {"passed": "green", "failed": "red", "excused": "yellow"}


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="Check every plugin that is installed.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def check_plugin(names: tuple[str, ...], every: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Run the conformance kit: the checks that every plugin must pass.

    The exit status is 0 only if every check holds, and 1 where one fails.
    """
    registry = installed_plugins()
    if every:
        names = (*names, *(f"{record.kind}:{record.qualified_name}" for record in registry.records))
    if not names:
        raise SuperloopError("name a plugin, or write --all")
    with output_to_stderr() if as_json else nullcontext():
        reports = _checked(names, only, silent=as_json)
    counts = {key: sum(report.counts[key] for report in reports) for key in reports[0].counts}
    if as_json:
        results = [attrs.asdict(result) for report in reports for result in report.results]
        click.echo(json.dumps({"counts": counts, "results": results}, indent=2))
    else:
        seconds = sum(result.seconds for report in reports for result in report.results)
        click.echo(", ".join(f"{count} {key}" for key, count in counts.items()) + f", in {seconds:.0f} s")
    sys.exit(0 if all(report.ok for report in reports) else 1)


def _checked(names: Iterable[str], only: tuple[str, ...], *, silent: bool) -> "list[Report]":
    start_tensorflow()
    from superloop_core import testing
    from superloop_core.testing import Result

    def report(result: Result) -> None:
        if not silent:
            status = click.style(f"{result.status:<8}", fg=STYLES[result.status])
            message = f"  {result.message}" if result.message else ""
            click.echo(status + printable(f"{result.plugin} ({result.kind}) {result.check}{message}"))

    return [testing.check_plugin(name, only=only, tell=report) for name in names]
