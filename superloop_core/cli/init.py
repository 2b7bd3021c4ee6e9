"""``superloop init``."""

import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from superloop_core.cli.describe import toml
from superloop_core.cli.installed import installed_plugins, output_to_stderr
from superloop_core.cli.quiet import start_tensorflow
from superloop_core.cli.validate import check_by_plugins
from superloop_core.config.reader import Reader, read_config
from superloop_core.describe.plugin import Setting, described, settings_of
from superloop_core.errors import ConfigError, PluginError, SuperloopError, os_reason, reason
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import Registry
from superloop_core.system_settings import sources_of

WIDTH = 100
PARTS = {"cells": "cell", "systems": "system"}
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

    The config is valid as written, and with a task it can be trained. Without a cell one is chosen; a task
    has the loop of its example, unless cells or systems are named too.
    """
    registry = installed_plugins()
    with output_to_stderr():
        text = _text(registry, [_one(registry, name) for name in names])
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


def _text(registry: Registry, records: list[PluginRecord]) -> str:
    """Return the config.

    Raises:
        SuperloopError: its parts do not fit together.
    """
    by_kind = {kind: [r for r in records if r.kind == kind] for kind in ("cell", "system", "task", "metric")}
    if len(by_kind["task"]) > 1:
        raise SuperloopError(f"a config has one task: {', '.join(record.name for record in by_kind['task'])}")
    task = _Task.of(registry, by_kind["task"][0]) if by_kind["task"] else None
    text = "\n".join(_lines(registry, records, by_kind, task)) + "\n"
    if task is not None and task.is_made:
        try:
            check_by_plugins(registry, read_config(tomllib.loads(text), registry))
        except ConfigError as error:
            names = ", ".join(record.name for record in records)
            parts = ", ".join(table["use"] for key in PARTS for table in task.loop.get(key, ()))
            move = f"name other parts{parts and f', such as {parts}'}"
            raise SuperloopError(f"{names}: these do not fit together; {move}\n{error}") from error
    return text


@attrs.frozen
class _Task:
    """What the loop of a task's example says.

    Args:
        record: the task.
        loop: the example's ``[loop]``, with the sizes that the task itself says.
        is_made: whether the task could be made; it cannot where files of its example are missing.
    """

    record: PluginRecord
    loop: Mapping[str, Any]
    is_made: bool

    @classmethod
    def of(cls, registry: Registry, record: PluginRecord) -> "_Task":
        spec: Any = record.spec
        settings = Reader(registry).plugin_settings(spec, spec.example, record.name)
        start_tensorflow()
        try:
            sizes = getattr(spec.create(settings), "sizes", None)
        except SuperloopError:
            unknown = {name: value for name, value in spec.example_loop.items() if name not in LOOP}
            return cls(record, unknown, False)
        return cls(record, spec.example_loop | (sizes.loop if sizes is not None else {}), True)

    def number(self, name: str) -> int | None:
        """Return one of ``LOOP``; None: it is left out, for the task to decide."""
        return self.loop.get(name, 0) if self.is_made else None


def _lines(
    registry: Registry,
    records: list[PluginRecord],
    by_kind: Mapping[str, list[PluginRecord]],
    task: _Task | None,
) -> Iterator[str]:
    yield f"# {', '.join(record.name for record in records)}: made by superloop init"
    yield ""
    yield "[loop]"
    for name, (value, meaning) in LOOP.items():
        number = value if task is None else task.number(name)
        if number is None:
            yield from _setting(f"# {name}", "...", f"{meaning}; left out: the task decides it")
        else:
            yield from _setting(name, toml(number), meaning)
    is_example = task is not None and not by_kind["cell"] and not by_kind["system"]
    if task is not None and (is_example or by_kind["system"]):
        for name, value in task.loop.items():
            if name not in (*LOOP, *PARTS):
                yield from _setting(name, toml(value), "")
    if task is not None and is_example:
        yield from _parts_of_example(registry, task)
    else:
        for record in by_kind["cell"] or [_any_cell(registry)]:
            yield from _part(registry, "[[loop.cells]]", record)
        yield from _systems(registry, by_kind["system"], task)
    if task is not None:
        yield from _part(registry, "[task]", task.record)
        yield from _other_tables(registry)
    for record in by_kind["metric"]:
        yield from _part(registry, "[[metrics]]", record)


def _systems(registry: Registry, records: Iterable[PluginRecord], task: _Task | None) -> Iterator[str]:
    """The named systems; one that reads what the task provides has the id and the sizes of the example's.

    Raises:
        SuperloopError: one reads what the task does not provide, or none reads what it provides.
    """
    tables = [] if task is None else task.loop.get("systems", ())
    readers = [table for table in tables if _sources(registry, table)]
    provided = {table.get("id", table["use"].rpartition(":")[2]): table for table in readers}
    ids, of_task = set(provided), "" if task is None else f"{task.record.name} provides"
    for record in records:
        written = {s.name: record.spec.example.get(s.name) for s in described(record).settings if s.required}
        sources = _sources(registry, {**written, "use": record.qualified_name})
        if task is not None and sources:
            fitting = [id for id, table in provided.items() if _sources(registry, table) == sources]
            if not fitting:
                raise SuperloopError(
                    f"{record.name} reads {', '.join(sources)}, and {of_task} no such source, or to another "
                    "system; leave it out"
                )
            yield from _part(registry, "[[loop.systems]]", record, fitting[0], provided.pop(fitting[0]))
            continue
        base = record.name.partition(".")[0]
        id = next(i for i in (base, *(f"{base}_{n}" for n in range(2, 99))) if i not in ids)
        ids.add(id)
        yield from _part(registry, "[[loop.systems]]", record, id)
    for id, table in provided.items():
        raise SuperloopError(
            f"{of_task} {', '.join(_sources(registry, table))} of {id!r}, which no system here reads; name a "
            f"system that does, such as {table['use']}"
        )


def _sources(registry: Registry, table: Mapping[str, Any]) -> list[str]:
    """Return the names of the sources that the system of a table must have."""
    spec = registry.resolve("system", table["use"]).spec
    own = {name: value for name, value in table.items() if name not in spec.own_keys}
    settings = Reader(registry).plugin_settings(spec, own, table["use"])
    return [name for name, source in sources_of(settings).items() if not source.optional]


def _parts_of_example(registry: Registry, task: _Task) -> Iterator[str]:
    """The cells and systems of a loop that a task's example can be trained on."""
    if not any(task.loop.get(key) for key in PARTS):
        raise SuperloopError(
            f"the task {task.record.name!r} has no loop as an example; name cells and systems"
        )
    for key, kind in PARTS.items():
        for table in task.loop.get(key, ()):
            part = registry.resolve(kind, table["use"])
            given = {name: value for name, value in table.items() if name not in ("use", "id")}
            yield from _part(registry, f"[[loop.{key}]]", part, table.get("id"), given)


def _part(
    registry: Registry,
    header: str,
    record: PluginRecord,
    id: str | None = None,
    given: Mapping[str, Any] | None = None,
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
        prefix = "# " if setting.default in (None, []) else ""  # a list of tables is written otherwise
        yield from _setting(f"{prefix}{setting.name}", toml(setting.default), _meaning(setting))


def _meaning(setting: Setting) -> str:
    choices = setting.type if setting.type.startswith("one of") else ""
    return "; ".join(filter(None, (setting.meaning.rstrip("."), choices, setting.range)))


def _setting(name: str, value: str, meaning: str) -> Iterator[str]:
    """A line of a setting, its meaning beside it, or above it where the line would be too long."""
    line = f"{name} = {value}"
    beside = f"{line:<27} # {meaning}"
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
