"""``superloop validate``."""

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.cli.quiet import start_tensorflow
from superloop_core.cli.streams import table_console
from superloop_core.config.files import apply_overrides, load_dict
from superloop_core.config.reader import read_config
from superloop_core.config.schema import Config, Fact, LoopConfig
from superloop_core.errors import ConfigError, Problem, printable
from superloop_core.registry.registry import Registry
from superloop_core.system_settings import shape_in_words

if TYPE_CHECKING:
    from superloop_core.describe.size import LoopSize

BATCH_SIZE = 32


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the config.")
@click.option("--batch-size", type=click.IntRange(1), help="For the memory estimate.")
@click.option("--timesteps", type=click.IntRange(1), help="For the memory estimate, if not set.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def validate(
    config: Path, overrides: tuple[str, ...], batch_size: int | None, timesteps: int | None, as_json: bool
) -> None:
    """Check a config, and measure its loop: shapes, weights, and the least memory that training needs.

    With a table [task], the checks are those of superloop train. All problems are reported at once; the exit
    status is then 2.
    """
    registry = installed_plugins()
    try:
        with output_to_stderr():
            tables = apply_overrides(load_dict(config), overrides)
            read = read_config(registry.hook.superloop_complete_tables(tables=tables) or tables, registry)
            steps: int | None = read.loop.timesteps or timesteps
            known = check_by_plugins(registry, read)
            longest = steps or (known["timesteps"].number if "timesteps" in known else None)
            size = _measured(read.loop, longest)
    except ConfigError as error:
        if not as_json:
            count = len(error.problems)
            click.echo(f"{printable(str(config))}: {count} problem{'s' * (count > 1)}", err=True)
            click.echo(textwrap.indent(str(error), "  "), err=True)
        else:
            problems = [attrs.asdict(problem) for problem in error.problems]
            click.echo(json.dumps({"valid": False, "problems": problems}, indent=2))
        sys.exit(2)
    rows = batch_size or getattr(read.tables.get("train"), "batch_size", None) or BATCH_SIZE
    report = {
        "valid": True,
        "problems": [],
        "inputs": {name: [None, *shape] for name, shape in read.loop.input_shapes.items()},
        "output_shape": [None, (steps - read.loop.suppress_output) if steps else None, size.output_size],
        "parts": [attrs.asdict(part) for part in size.parts],
        "weights": size.weights,
        "state_size": size.state_size,
        "memory": _memory(size, longest, rows, known.get("model")) if longest else None,
        "facts": {name: fact.text for name, fact in known.items()},
        "config": {name: table for name, table in read.to_dict().items() if name != "plugins" or table},
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print(config, report, read.loop)


def check_by_plugins(registry: Registry, config: Config) -> dict[str, Fact]:
    """Make the checks of plugins, such as whether a task fits its loop.

    Returns:
        what they know of the config, such as what was read of a file, by name.

    Raises:
        ConfigError: with every problem found.
    """
    found = [one for of_plugin in registry.hook.superloop_check_config(config=config) for one in of_plugin]
    if problems := [one for one in found if isinstance(one, Problem)]:
        raise ConfigError(problems)
    return {fact.name: fact for fact in found if isinstance(fact, Fact)}


def _memory(size: "LoopSize", timesteps: int, rows: int, model: Fact | None) -> dict[str, int] | None:
    memory = size.memory(timesteps, rows, None if model is None else model.number)
    return None if memory is None else memory | {"timesteps": timesteps, "batch_size": rows}


def _measured(loop: LoopConfig, timesteps: int | None) -> "LoopSize":
    start_tensorflow()
    from superloop_core.describe.size import measure

    return measure(loop, timesteps)


def _print(path: Path, report: dict[str, Any], loop: LoopConfig) -> None:
    import tomlkit
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from superloop_core.describe.size import memory_in_words

    console = Console(soft_wrap=True)
    console.print(Text(printable(f"{path} is valid. With every default, it reads:\n")))
    console.print(Text(printable(tomlkit.dumps(report["config"]).strip() + "\n")), style="dim")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("part", "plugin"):
        table.add_column(name, no_wrap=True)
    for name in ("input size", "output size", "state size", "weights"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in report["parts"]:
        sizes = (part["input_size"], part["output_size"], part["state_size"], part["weights"])
        table.add_row(Text(part["path"]), Text(part["use"].rpartition(":")[2]), *map(_number, sizes))
    total = _number(report["state_size"]), _number(report["weights"])
    table.add_row("", Text("total", style="bold"), "", "", *total)
    tables = table_console()
    tables.print(table)
    tables.print()
    inputs = (f"{name} {shape_in_words(shape)}" for name, shape in (loop.input_shapes | loop.sources).items())
    facts = {"inputs": ", ".join(inputs)}
    facts["output"] = shape_in_words(report["output_shape"][1:])
    if memory := report["memory"]:
        words = memory_in_words(memory, memory["timesteps"], memory["batch_size"])
        weights, _, rest = words.partition(": ")
        facts["memory"] = (
            f"at least {weights} to train with Adam: {rest}; TensorFlow itself uses about 500 MB more"
        )
    elif report["output_shape"][1] is not None or "timesteps" in report["facts"]:
        facts["memory"] = "not known, as the size of a state depends on the data"
    else:
        facts["memory"] = "not known, as loop.timesteps is 0; give the number of the longest: --timesteps N"
    facts |= report["facts"]
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        grid.add_row(Text(printable(name), style="bold"), Text(printable(fact)))
    tables.print(grid)


def _number(number: int | None) -> str:
    return "grows" if number is None else f"{number:,}"
