"""``superloop init``."""

import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from superloop_core.cli.describe import toml
from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.describe.plugin import Setting, described, settings_of
from superloop_core.errors import PluginError, SuperloopError, os_reason, reason
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import Registry

WIDTH = 100
LOOP = {
    "timesteps": (0, "timesteps of a sequence; 0: as many as the input has"),
    "inputs": (8, "size of the external input at each timestep; 0: none"),
    "outputs": (4, "size of the output at each timestep; 0: the last cell's output, unprojected"),
}


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The file to write; it must not be there yet."
)
def init(names: tuple[str, ...], out: Path | None) -> None:
    """Write a config for the named cells, systems and task, with every setting and its meaning.

    The config is valid as written. Without a cell one is chosen; a task has a loop that
    it can be trained on, unless cells or systems are named too.
    """
    registry = installed_plugins()
    with output_to_stderr():
        text = "\n".join(_lines(registry, [_one(registry, name) for name in names])) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    if out.suffix.lower() != ".toml":
        raise SuperloopError(f"-o {out}: a config's name must end in .toml")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        if isinstance(error, FileExistsError) and out.exists():
            raise SuperloopError(f"-o {out}: is there already; name another file") from None
        raise SuperloopError(f"-o {out}: cannot be written: {os_reason(error)}") from error
    click.echo(out)


def _one(registry: Registry, name: str) -> PluginRecord:
    found = registry.find(name)
    if len(found) > 1:
        choices = " or ".join(f"{record.kind}:{record.name}" for record in found)
        raise PluginError(f"{name!r} is a {' and a '.join(r.kind for r in found)}; write {choices}")
    return found[0]


def _lines(registry: Registry, records: list[PluginRecord]) -> Iterator[str]:
    by_kind = {kind: [r for r in records if r.kind == kind] for kind in ("cell", "system", "task", "metric")}
    tasks = by_kind["task"]
    if len(tasks) > 1:
        raise SuperloopError(f"a config has one task: {', '.join(record.name for record in tasks)}")
    yield f"# {', '.join(record.name for record in records)}: made by superloop init"
    yield ""
    if tasks and not by_kind["cell"] and not by_kind["system"]:
        yield from _loop_of_task(registry, tasks[0])
    else:
        yield from _loop(registry, by_kind["cell"] or [_any_cell(registry)], by_kind["system"])
    for record in tasks:
        yield from _part(registry, "[task]", record)
        yield from _other_tables(registry)
    for record in by_kind["metric"]:
        yield from _part(registry, "[[metrics]]", record)


def _loop(
    registry: Registry, cells: Iterable[PluginRecord], systems: Iterable[PluginRecord]
) -> Iterator[str]:
    yield "[loop]"
    for name, (value, meaning) in LOOP.items():
        yield from _setting(name, toml(value), meaning)
    for record in cells:
        yield from _part(registry, "[[loop.cells]]", record)
    ids: set[str] = set()
    for record in systems:
        base = record.name.partition(".")[0]
        id = next(i for i in (base, *(f"{base}_{n}" for n in range(2, 99))) if i not in ids)
        ids.add(id)
        yield from _part(registry, "[[loop.systems]]", record, id)


def _loop_of_task(registry: Registry, record: PluginRecord) -> Iterator[str]:
    """The loop that a task's example can be trained on."""
    loop = record.spec.example_loop  # type: ignore[attr-defined]
    if not loop:
        raise SuperloopError(f"the task {record.name!r} has no loop as an example; name cells and systems")
    meanings = {name: meaning for name, (_, meaning) in LOOP.items()}
    yield "[loop]"
    for name, value in loop.items():
        if name not in ("cells", "systems"):
            yield from _setting(name, toml(value), meanings.get(name, ""))
    for key, kind in (("cells", "cell"), ("systems", "system")):
        for table in loop.get(key, ()):
            part = registry.resolve(kind, table["use"])
            given = {name: value for name, value in table.items() if name not in ("use", "id")}
            yield from _part(registry, f"[[loop.{key}]]", part, table.get("id"), given)


def _part(
    registry: Registry,
    header: str,
    record: PluginRecord,
    id: str | None = None,
    given: dict[str, Any] | None = None,
) -> Iterator[str]:
    yield ""
    yield f"# {record.summary}"
    yield header
    yield f"use = {toml(registry.shortest_name(record))}"
    if id is not None:
        yield from _setting("id", toml(id), "the prefix of its sources and traces")
    for setting in described(record).settings:
        meaning = _meaning(setting)
        if given is not None and setting.name in given:
            value = given[setting.name]
        elif setting.required or header == "[task]":
            value = record.spec.example.get(setting.name, setting.default)
        else:
            value = setting.default
        if value is None:
            yield from _setting(f"# {setting.name}", "...", meaning)
        else:
            yield from _setting(setting.name, toml(value), meaning)


def _other_tables(registry: Registry) -> Iterator[str]:
    """Every table beside the loop and the task, by its defaults: how to train, of the lab."""
    for name, spec in registry.tables.items():
        if spec.config is None or any(f.default is attrs.NOTHING for f in attrs.fields(spec.config)):
            continue
        yield ""
        try:
            lines = list(_table(name, spec.config))
            tomllib.loads("\n".join(lines))
        except Exception as error:  # no plugin that is not named may spoil the config
            lines = [f"# [{name}] is left out, as its settings cannot be written: {reason(error)}"]
        yield from lines


def _table(name: str, config: type[Any]) -> Iterator[str]:
    yield f"[{name}]"
    for setting in settings_of(config):
        prefix = "# " if setting.default is None else ""
        yield from _setting(f"{prefix}{setting.name}", toml(setting.default), _meaning(setting))


def _meaning(setting: Setting) -> str:
    choices = setting.type if setting.type.startswith("one of") else ""
    return "; ".join(filter(None, (setting.meaning.rstrip("."), choices, setting.range)))


def _setting(name: str, value: str, meaning: str) -> Iterator[str]:
    """A line of a setting, its meaning beside it, or above it where the line would be too long."""
    line = f"{name} = {value}"
    beside = f"{line:<28}# {meaning}"
    if not meaning:
        yield line
    elif len(beside) <= WIDTH:
        yield beside
    else:
        yield from (f"# {part}" for part in textwrap.wrap(meaning, WIDTH - 2))
        yield line


def _any_cell(registry: Registry) -> PluginRecord:
    cells = {record.name: record for record in registry.records if record.kind == "cell"}
    if not cells:
        raise PluginError("there is no cell installed: pip install superloop-plugin-cells")
    return cells.get("lstm") or next(iter(cells.values()))
