"""The schema of a config: the loop, its cells and systems, and the tables that plugins own.

A config is checked whole: :class:`ConfigError` lists every problem with its place, the rule, the
value and the nearest right name. What comes out are frozen attrs objects, comparable and printable.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from superloop_core.config.files import apply_overrides, load_dict
from superloop_core.config.schema import (
    RESERVED_IDS,
    CellConfig,
    Config,
    LoopConfig,
    PartConfig,
    SystemConfig,
    named_sources,
)
from superloop_core.config.settings import read_settings
from superloop_core.errors import ConfigError, PluginError, Problem, shown
from superloop_core.registry.specs import PluginSpec, TableSpec, snake_case


class Plugin(Protocol):
    """A plugin that a name resolved to."""

    @property
    def spec(self) -> PluginSpec:
        """What the plugin tells of itself."""

    @property
    def qualified_name(self) -> str:
        """``distribution:name``."""


class Plugins(Protocol):
    """What a config needs of the plugins there are; ``Registry`` is one."""

    def resolve(self, kind: str, name: str) -> Plugin:
        """Return the plugin of a name, or raise :class:`PluginError`."""

    def resolve_table(self, name: str) -> TableSpec:
        """Return the spec of a top-level table, or raise :class:`PluginError`."""


def read_config(
    source: str | Path | Mapping[str, Any], plugins: Plugins, overrides: Iterable[str] = ()
) -> Config:
    """Read a whole config.

    Args:
        source: a dict, or the path of a TOML or JSON file.
        plugins: the registry.
        overrides: ``"loop.timesteps=64"``, ``"loop.systems.tape.width=3"``, ``"train.seed=7"``: a
            dotted key (a list's entry by its index, id or name) and a TOML value.

    Raises:
        ConfigError: with every problem found.
    """
    data = apply_overrides(load_dict(source), overrides)
    problems: list[Problem] = []
    specs = {}
    for name in data:
        if name not in ("loop", "plugins"):
            try:
                specs[name] = plugins.resolve_table(name)
            except PluginError as error:
                problems.append(Problem("", str(error)))
    loop = None
    if "loop" in data:
        loop = _read_loop(data["loop"], plugins, "loop", problems)
    else:
        problems.append(Problem("", "a table [loop] is missing"))
    tables = {name: _read_table(data[name], spec, plugins, problems) for name, spec in specs.items()}
    versions = data.get("plugins", {})
    if _is_table(versions, "plugins", problems):
        for name, version in versions.items():
            if not isinstance(version, str):
                problems.append(Problem("plugins", f"{name!r} must be a string: {shown(version)}"))
    if problems:
        raise ConfigError(problems)
    assert loop is not None
    return Config(loop=loop, tables=tables, plugins=versions)


def read_loop(data: Mapping[str, Any], plugins: Plugins, where: str = "loop") -> LoopConfig:
    """Read a ``[loop]`` table; ``where`` is the place that problems are reported at.

    Raises:
        ConfigError: with every problem found.
    """
    problems: list[Problem] = []
    loop = _read_loop(data, plugins, where, problems)
    if problems:
        raise ConfigError(problems)
    assert loop is not None
    return loop


def _read_loop(
    data: Any, plugins: Plugins, where: str, problems: list[Problem], within: str | None = None
) -> LoopConfig | None:
    """Read a loop; one that is the cell or the system of another stands ``within`` that kind of part."""
    if not _is_table(data, where, problems):
        return None
    before = len(problems)
    own = {key: value for key, value in data.items() if key not in ("cells", "systems")}
    loop = read_settings(LoopConfig, own, where, problems, reserved=("cells", "systems"))
    cells = _read_parts(data, "cells", "cell", CellConfig, plugins, problems, where)
    systems = _read_parts(data, "systems", "system", SystemConfig, plugins, problems, where)
    if not data.get("cells"):
        table = f"[[{_table_of(where)}.cells]]"
        problems.append(Problem(where, f"needs a cell: add a {table} table with use = NAME"))
    _check_ids(data, where, problems)
    if loop is None or len(problems) > before:
        return None
    loop = attrs.evolve(loop, cells=tuple(cells), systems=tuple(systems))
    if within is None:
        _check_timesteps(loop, where, problems)
    else:
        _check_within(loop, within, where, problems)
    _check_names(loop, where, problems)
    return loop


def _read_parts(
    data: Mapping[str, Any],
    key: str,
    kind: str,
    part: type[Any],
    plugins: Plugins,
    problems: list[Problem],
    within: str = "",
) -> list[Any]:
    """Read a list of tables, each of which names a plugin of a kind."""
    where = f"{within}.{key}" if within else key
    tables = data.get(key, [])
    if not _is_list(tables):
        hint = f"; write [[{_table_of(where)}]]" if isinstance(tables, Mapping) else ""
        problems.append(Problem(where, f"must be a list of tables: {shown(tables)}{hint}"))
        return []
    parts = []
    for index, table in enumerate(tables):
        place = f"{where}[{index}]"
        if _is_table(table, place, problems):
            parts.append(_read_part(table, kind, part, plugins, place, problems))
    return [part for part in parts if part is not None]


def _read_part(
    table: Mapping[str, Any],
    kind: str,
    part: type[Any],
    plugins: Plugins,
    where: str,
    problems: list[Problem],
) -> Any:
    """Read a table that names a plugin with ``use``: the part's own keys, and the plugin's settings."""
    name = table.get("use")
    if not isinstance(name, str):
        what = f"'use' must be the name of a {kind}: {shown(name)}" if "use" in table else "'use' is missing"
        problems.append(Problem(where, f"{what}; write use = NAME"))
        return None
    try:
        plugin = plugins.resolve(kind, name)
    except PluginError as error:
        problems.append(Problem(where, str(error)))
        return None
    where = f'{where} "{table.get("id", name)}"'
    own_keys = {field.name for field in attrs.fields(part)} - {"settings"}
    own = {key: value for key, value in table.items() if key in own_keys}
    own["use"] = plugin.qualified_name
    if "id" in own_keys:
        own.setdefault("id", _default_id(name))
    rest = {key: value for key, value in table.items() if key not in own_keys}
    before = len(problems)
    for name in _loops_of(plugin.spec.config):
        if name in rest:
            inner = _read_loop(rest[name], plugins, f"{where}.{name}", problems, within=kind)
            rest[name] = inner or LoopConfig()  # so that its problems are not told again as the setting's
    settings = read_settings(plugin.spec.config, rest, where, problems, reserved=own_keys)
    read = read_settings(part, own | {"settings": settings}, where, problems)
    return read if len(problems) == before else None


def _read_table(data: Any, spec: TableSpec, plugins: Plugins, problems: list[Problem]) -> Any:
    if spec.many:
        assert spec.kind is not None
        return tuple(_read_parts({spec.name: data}, spec.name, spec.kind, PartConfig, plugins, problems))
    if not _is_table(data, spec.name, problems):
        return None
    if spec.kind is not None:
        return _read_part(data, spec.kind, PartConfig, plugins, spec.name, problems)
    assert spec.config is not None
    return read_settings(spec.config, data, spec.name, problems)


def _check_ids(data: Mapping[str, Any], where: str, problems: list[Problem]) -> None:
    """Check the systems' ids as they are written, so that another problem with one hides nothing."""
    systems = data.get("systems", ())
    tables = [table for table in systems if isinstance(table, Mapping)] if _is_list(systems) else []
    ids = [table.get("id", _default_id(table.get("use"))) for table in tables]
    ids = [id for id in ids if isinstance(id, str)]
    for id, count in Counter(ids).items():
        place = f"{where}.systems"
        if count > 1:
            problems.append(Problem(place, f"{count} systems have the id {id!r}; give each an id of its own"))
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", id):
            what = f"an id must be of letters, digits and underscores, and start with no digit: {id!r}"
            problems.append(Problem(place, what))
        if id in RESERVED_IDS:
            problems.append(Problem(place, f"the id {id!r} is taken by the loop itself; choose another"))


def _default_id(use: Any) -> str | None:
    """``superloop-plugin-stacks:stack.v2`` -> ``stack``."""
    return snake_case(use.rpartition(":")[2].partition(".")[0]) if isinstance(use, str) else None


def _loops_of(config: type[Any]) -> list[str]:
    """Names of the settings that are loops themselves."""
    attrs.resolve_types(config)
    return [field.alias for field in attrs.fields(config) if field.type is LoopConfig]


def _check_timesteps(loop: LoopConfig, where: str, problems: list[Problem]) -> None:
    if not loop.inputs and not loop.feedback_size:
        what = "has neither inputs nor systems, so its cells would be fed nothing; set inputs"
        problems.append(Problem(where, what))
    if not loop.inputs and not loop.timesteps:
        what = "'timesteps' must be >= 1 where inputs = 0, as no input tells how many there are: 0"
        problems.append(Problem(where, what))
    if loop.timesteps and loop.suppress_output >= loop.timesteps:
        what = f"'suppress_output' must be < timesteps ({loop.timesteps}): {loop.suppress_output}"
        problems.append(Problem(where, what))


def _check_within(loop: LoopConfig, kind: str, where: str, problems: list[Problem]) -> None:
    """Check what only the loop around it decides, and what it must tell that one."""
    outer = ("timesteps", "suppress_output", *(("inputs",) if kind == "cell" else ()))
    for name in outer:
        if value := getattr(loop, name):
            what = f"{name!r} may not be set here, as the loop around it decides it: {value}"
            problems.append(Problem(where, what))
    if kind == "system":
        for name, meaning in (("inputs", "how many numbers control it"), ("outputs", "how many it answers")):
            if not getattr(loop, name):
                problems.append(Problem(where, f"{name!r} must be >= 1, as it is {meaning}: 0"))


def _check_names(loop: LoopConfig, where: str, problems: list[Problem]) -> None:
    if loop.outputs_read_systems and not (loop.outputs and loop.systems):
        problems.append(Problem(where, "'outputs_read_systems' needs outputs >= 1 and a system"))
    names = ["inputs", "initial_feedback", *(name for name, _ in named_sources(loop))]
    for name, count in Counter(names).items():
        if count > 1:
            what = f"two inputs of the loop would be called {name!r}; give a system another id"
            problems.append(Problem(where, what))


def _table_of(where: str) -> str:
    """``loop.cells[0] "superloop".loop`` -> ``loop.cells.loop``, as TOML names the table."""
    return re.sub(r'\[\d+\]| ".*?"', "", where)


def _is_table(data: Any, where: str, problems: list[Problem]) -> bool:
    if isinstance(data, Mapping):
        return True
    problems.append(Problem(where, f"must be a table: {shown(data)}"))
    return False


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str | bytes)
