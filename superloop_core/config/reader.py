"""A whole config, read with a registry.

:class:`ConfigError` lists every problem with its place, the rule, the value and the nearest right name.
The results are frozen attrs objects, comparable and printable.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from superloop_core.config.files import apply_overrides, load_dict
from superloop_core.config.objects import is_factory, is_object, part_of, spec_of
from superloop_core.config.schema import (
    RESERVED_IDS,
    WIRING,
    CellConfig,
    Config,
    LoopConfig,
    PartConfig,
    SystemConfig,
    named_sources,
    own_keys,
)
from superloop_core.config.settings import read_settings
from superloop_core.errors import ConfigError, PluginError, Problem, cut, did_you_mean, reason, short_repr
from superloop_core.names import FEEDBACK, INPUTS
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import Registry
from superloop_core.registry.specs import PluginSpec, TableSpec, snake_case
from superloop_core.setting_types import UNREAD, with_parts

MAX_PROBLEMS = 100  # of one config
MAX_PARTS = 1_000  # of a loop; each is built and traced on its own
# What only a loop does with a part.
_OF_A_LOOP = ("layers", "learn_initial_state", "learn_initial_read", *WIRING)


def read_config(
    source: str | Path | Mapping[str, Any], registry: Registry, overrides: Iterable[str] = ()
) -> Config:
    """Read a whole config.

    Args:
        source: a dict, or the path of a TOML or JSON file.
        registry: resolves the names of plugins and tables.
        overrides: ``"loop.timesteps=64"``, ``"loop.systems.tape.width=3"``, ``"train.seed=7"``: a
            dotted key (a list's entry by its index, id or name) and a TOML value.

    Raises:
        ConfigError: with every problem found.
    """
    reader = Reader(registry)
    config = reader.config(apply_overrides(load_dict(source), overrides))
    reader.raise_problems()
    assert config is not None
    return config


def read_loop(
    data: Mapping[str, Any], registry: Registry, where: str = "loop", *, from_file: bool = True
) -> LoopConfig:
    """Read a ``[loop]`` table.

    Args:
        data: the table.
        registry: resolves the names of plugins.
        where: the place that problems name.
        from_file: False: ``inputs`` may be None, which means that they are not known yet; they are 0 in the
            result, which may then break a rule that :func:`check_inputs` checks.

    Raises:
        ConfigError: with every problem found.
    """
    reader = Reader(registry)
    unknown = not from_file and isinstance(data, Mapping) and data.get("inputs", 0) is None
    if unknown:
        data = {name: value for name, value in data.items() if name != "inputs"}
    loop = reader.loop(data, where, inputs_are_known=not unknown)
    reader.raise_problems()
    assert loop is not None
    return loop


def read_table(name: str, data: Any, registry: Registry) -> Any:
    """Read a top-level table that a plugin owns.

    Args:
        name: of the table.
        data: the table.
        registry: resolves the names of plugins and tables.

    Raises:
        ConfigError: with every problem found.
        PluginError: no plugin owns a table of this name, or two distributions do.
    """
    reader = Reader(registry)
    table = reader.table(data, registry.resolve_table(name))
    reader.raise_problems()
    return table


def check_inputs(loop: LoopConfig, where: str = "loop") -> None:
    """Check the rules about inputs and timesteps.

    Raises:
        ConfigError: the loop breaks one.
    """
    if broken := [Problem(where, what) for what in _of_outermost(loop)]:
        raise ConfigError(broken)


class Reader:
    """Reads the tables of one config, and collects the problems.

    Each method returns the result of a table, or None where it has a problem.

    Args:
        registry: resolves the names of plugins and tables.
    """

    def __init__(self, registry: Registry):
        self.registry = registry
        self.problems: list[Problem] = []

    def report(self, where: str, what: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(where, what))
        self._check_count()

    def _check_count(self) -> None:
        """Stop where there are so many problems that nobody reads them all.

        Raises:
            ConfigError: with the problems found so far.
        """
        if len(self.problems) >= MAX_PROBLEMS:
            last = Problem("", f"there may be more: the reading stopped after {len(self.problems)} problems")
            raise ConfigError([*self.problems, last])

    def raise_problems(self) -> None:
        """Raise :class:`ConfigError` if there are problems."""
        if self.problems:
            raise ConfigError(self.problems)

    def config(self, data: Mapping[str, Any]) -> Config | None:
        """Read a whole config."""
        specs = {}
        for name in (name for name in data if name not in ("loop", "plugins")):
            try:
                specs[name] = self.registry.resolve_table(name)
            except PluginError as error:
                self.report("", str(error))
        if "loop" not in data:
            self.report("", "a table [loop] is missing")
        loop = self.loop(data["loop"], "loop") if "loop" in data else None
        tables = {name: self.table(data[name], specs[name]) for name in data if name in specs}
        versions = data.get("plugins", {})
        if self._is_table(versions, "plugins"):
            for name, version in versions.items():
                if not isinstance(version, str):
                    self.report("plugins", f"{name!r} must be a string: {short_repr(version)}")
        return None if loop is None else Config(loop=loop, tables=tables, plugins=versions)

    def loop(
        self, data: Any, where: str, within: str | None = None, *, inputs_are_known: bool = True
    ) -> LoopConfig | None:
        """Read a loop; ``within`` is the kind of part that holds it, where it is nested."""
        if not self._is_table(data, where):
            return None
        before = len(self.problems)
        own = {key: value for key, value in data.items() if key not in ("cells", "systems")}
        loop: LoopConfig | None = self.settings(LoopConfig, own, where, ("cells", "systems"))
        cells = self.parts(data.get("cells", []), "cell", CellConfig, f"{where}.cells")
        systems = self.parts(data.get("systems", []), "system", SystemConfig, f"{where}.systems")
        if not data.get("cells"):
            self.report(where, f"needs a cell: add a [[{_table_of(where)}.cells]] table with use = NAME")
        self._check_ids(data.get("systems", []), f"{where}.systems")
        if loop is None or len(self.problems) > before:
            return None
        loop = attrs.evolve(loop, cells=tuple(cells), systems=tuple(systems))
        try:
            of_place = _of_nested(loop, within) if within else _of_outermost(loop) if inputs_are_known else ()
            broken = [*of_place, *_of_any(loop)]
        except Exception as error:  # of a plugin's settings
            broken = [f"the sizes and sources of a system or cell cannot be computed: {reason(error)}"]
        for what in broken:
            self.report(where, what)
        for place, what in _of_wires(loop):
            self.report(f"{where}.{place}", what)
        return loop

    def parts(self, tables: Any, kind: str, cls: type[Any], where: str) -> list[Any]:
        """Read a list of tables, each of which names a plugin of a kind."""
        if not _is_list(tables):
            hint = f"; write [[{_table_of(where)}]]" if isinstance(tables, Mapping) else ""
            self.report(where, f"must be a list of tables: {short_repr(tables)}{hint}")
            return []
        parts: list[Any] = []
        for index, table in enumerate(tables):
            sharing = kind == "system" and isinstance(table, Mapping) and "shares" in table
            if sharing and "use" not in table:
                parts.append(self.shared_system(table, parts, f"{where}[{index}]"))
            else:
                parts.append(self.part(table, kind, cls, f"{where}[{index}]"))
        return [part for part in parts if part is not None]

    def shared_system(
        self, table: Mapping[str, Any], before: Iterable[SystemConfig | None], where: str
    ) -> SystemConfig | None:
        """Read the table of a system that shares the memory of one before it, whose settings it has."""
        owners = {system.id: system for system in before if system is not None and not system.shares}
        id, shares = table.get("id", ""), table["shares"]
        where = f'{where} "{cut(str(id), 60)}"'
        keys = [key for key in own_keys(SystemConfig) if key != "use"]
        for key in table:
            if key not in keys:
                self.report(where, f"no setting {short_repr(key)}{did_you_mean(key, keys)}")
        own = {key: value for key, value in table.items() if key in keys}
        made: SystemConfig | None = self.settings(SystemConfig, {"use": ".", "settings": None} | own, where)
        if made is None or len(own) < len(table):
            return None
        if made.shares not in owners:
            there = f"one of {', '.join(owners)}" if owners else "and there is none"
            rule = f"'shares' must be the id of a system before it that has a memory of its own, {there}"
            self.report(where, f"{rule}: {short_repr(shares)}")
            return None
        if made.learn_initial_state:
            self.report(where, "'learn_initial_state' is for the system that owns the memory; set it there")
            return None
        owner = owners[made.shares]
        return attrs.evolve(made, use=owner.use, settings=owner.settings, given=owner.given)

    def part(self, table: Any, kind: str, cls: type[Any], where: str) -> Any:
        """Read a table that names a plugin with ``use``: the part's own keys, and the plugin's settings.

        A program may have an object, or its class, in the place of the name; an object alone is a table too.
        """
        if isinstance(table, cls):
            return table
        if is_object(table):
            table = {"use": table}
        if not self._is_table(table, where):
            return None
        before = len(self.problems)
        named = f'{where} "{cut(str(_shown(table.get("id", table.get("use")))), 60)}"'
        spec, part = self.used(table, kind, where, named)
        if len(self.problems) > before:
            return None
        keys = own_keys(cls, spec.config if spec is not None else None)
        own = {key: value for key, value in table.items() if key in keys}
        own["use"] = part.use
        if "id" in keys:
            own.setdefault("id", _default_id(table["use"]))
        rest = {key: value for key, value in table.items() if key not in keys}
        settings = part.settings
        if spec is not None:
            settings = self.plugin_settings(spec, rest, named, keys)
        elif rest:
            self.report(named, f"an object has its settings already; remove {', '.join(map(repr, rest))}")
        made = self.settings(cls, own | {"settings": None}, named)
        if getattr(made, "shares", ""):
            self.report(
                named, f"'use' is that of {short_repr(made.shares)}, whose memory it shares; leave it out"
            )
        if spec is None and made is not None and getattr(made, "layers", 1) > 1:
            self.report(named, f"'layers' must be 1, as an object is one cell: {made.layers}")
        if len(self.problems) > before:
            return None
        return attrs.evolve(made, settings=settings, given=part.given)

    def used(
        self, table: Mapping[str, Any], kind: str, where: str, named: str
    ) -> tuple[PluginSpec | None, PartConfig]:
        """Find what a table has in ``use``: the spec that reads its settings, or None for an object."""
        use = table.get("use")
        nothing = PartConfig(use="", settings=None)
        try:
            if isinstance(use, str):
                record = self.registry.resolve(kind, use)
                return record.spec, attrs.evolve(nothing, use=record.qualified_name)
            loop_part = kind in ("cell", "system")
            if loop_part and is_factory(use):
                name, spec = spec_of(self.registry, kind, use)
                return spec, attrs.evolve(nothing, use=name, given=None if name else spec)
            if loop_part and is_object(use):
                part = part_of(self.registry, kind, use)
                for field in attrs.fields(type(part.settings)) if attrs.has(type(part.settings)) else ():
                    if isinstance(loop := getattr(part.settings, field.name), LoopConfig):
                        self._report_nested(loop, kind, f"{named}.{field.name}")
                return None, part
            what = (
                f"'use' must be the name of a {kind}: {short_repr(use)}"
                if "use" in table
                else "'use' is missing"
            )
            self.report(where, f"{what}; write use = NAME")
        except PluginError as error:
            self.report(where, str(error))
        return None, nothing

    def _report_nested(self, loop: LoopConfig, within: str, where: str) -> None:
        for what in _of_nested(loop, within):
            self.report(where, what)

    def resolve(self, kind: str, name: str, where: str) -> PluginRecord | None:
        """Resolve a plugin's name."""
        try:
            return self.registry.resolve(kind, name)
        except PluginError as error:
            self.report(where, str(error))
            return None

    def table(self, data: Any, spec: TableSpec) -> Any:
        """Read a top-level table that a plugin owns."""
        if spec.many:
            return tuple(self.parts(data, str(spec.kind), PartConfig, spec.name))
        if spec.kind is not None:
            return self.part(data, spec.kind, PartConfig, spec.name)
        return self.plugin_settings(spec, data, spec.name) if self._is_table(data, spec.name) else None

    def plugin_settings(
        self, spec: PluginSpec | TableSpec, data: Mapping[str, Any], where: str, reserved: Iterable[str] = ()
    ) -> Any:
        """Read the settings of a plugin, and the loops, cells and systems in them."""
        assert spec.config is not None
        read_part = functools.partial(self._nested_part, within=spec.kind)
        return self.settings(spec.config, with_parts(data, spec.config, where, read_part), where, reserved)

    def _nested_part(self, data: Any, cls: type[Any], where: str, within: str | None) -> Any:
        """Read a loop, cell or system that the settings of a plugin of the kind ``within`` hold."""
        before = len(self.problems)
        part: Any
        if isinstance(data, LoopConfig) and cls is LoopConfig:
            part = data
            self._report_nested(data, str(within), where)
        elif cls is LoopConfig:
            part = self.loop(data, where, within)
        else:
            part = self.part(data, "cell" if cls is CellConfig else "system", cls, where)
            defaults = {field.name: field.default for field in attrs.fields(cls) if field.name in _OF_A_LOOP}
            for name, default in defaults.items():
                if (value := getattr(part, name, default)) != default:
                    self.report(where, f"{name!r} is for the parts of a loop; leave it out: {value}")
        return part if len(self.problems) == before else UNREAD

    def settings(
        self, cls: type[Any], data: Mapping[str, Any], where: str, reserved: Iterable[str] = ()
    ) -> Any:
        """Read one table into its attrs class."""
        settings = read_settings(cls, data, where, self.problems, reserved)
        self._check_count()
        return settings

    def _check_ids(self, systems: Any, where: str) -> None:
        """Validate ids on the raw tables, so that other errors hide none."""
        ids = map(_id_of, systems) if _is_list(systems) else ()
        for id, count in Counter(id for id in ids if isinstance(id, str)).items():
            if count > 1:
                self.report(
                    where, f"{count} systems have the id {short_repr(id)}; give each an id of its own"
                )
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", id):
                rule = "an id must consist of letters, digits and underscores, and not start with a digit"
                self.report(where, f"{rule}: {short_repr(id)}")
            if id in RESERVED_IDS:
                self.report(where, f"the id {id!r} is taken by the loop itself; choose another")

    def _is_table(self, data: Any, where: str) -> bool:
        if not isinstance(data, Mapping):
            self.report(where, f"must be a table: {short_repr(data)}")
        return isinstance(data, Mapping)


def _of_outermost(loop: LoopConfig) -> Iterable[str]:
    """Yield the rules about timesteps that a loop breaks."""
    if not loop.inputs and not loop.feedback_size:
        yield "has neither inputs nor systems with feedback, so its cells would have no input; set inputs"
    if not loop.inputs and not loop.timesteps:
        yield "'timesteps' must be >= 1 where inputs = 0, as no input tells how many there are: 0"
    if loop.timesteps and loop.suppress_output >= loop.timesteps:
        yield f"'suppress_output' must be < timesteps ({loop.timesteps}): {loop.suppress_output}"


def _of_nested(loop: LoopConfig, kind: str) -> Iterable[str]:
    """Yield the settings that the loop around a nested one decides, or needs from it."""
    for name in ("timesteps", "suppress_output", *(("inputs",) if kind == "cell" else ())):
        if value := getattr(loop, name):
            yield f"{name!r} may not be set here, as the loop around it decides it: {value}"
    if kind == "system":
        for name, meaning in (("inputs", "the control size"), ("outputs", "the size of the read vector")):
            if not getattr(loop, name):
                yield f"{name!r} must be >= 1, as it is {meaning}: 0"


def _of_any(loop: LoopConfig) -> Iterable[str]:
    """Yield the rules about sizes, outputs and names that a loop breaks."""
    if (parts := count_parts(loop)) > MAX_PARTS:
        yield f"may have {MAX_PARTS:,} cells and systems at most, those of nested loops included: {parts:,}"
    if loop.outputs_read_systems and not (loop.outputs and loop.systems):
        yield "'outputs_read_systems' needs outputs >= 1 and a system"
    names = [INPUTS, FEEDBACK, *(name for name, _ in named_sources(loop))]
    for name, count in Counter(names).items():
        if count > 1:
            yield f"two inputs of the loop would be called {short_repr(name)}; give a system another id"


def _of_wires(loop: LoopConfig) -> Iterable[tuple[str, str]]:
    """Yield the rules about connections of systems that a loop breaks, each with its place."""
    cells = sum(cell.layers for cell in loop.cells)
    turns: dict[str, tuple[int, int]] = {}  # when each system takes its step: its cell, and its own number
    for index, system in enumerate(loop.systems):
        place = f'systems[{index}] "{system.id}"'
        if system.controlled_by >= cells:
            rule = f"'controlled_by' must be the number of a cell, at most {cells - 1}"
            yield place, f"{rule}: {system.controlled_by}"
            return
        turns[system.id] = system.controlled_by % cells, index
        up = "feedforward = true" if system.feedforward else "" if system.feedback else "feedback = false"
        if up and turns[system.id][0] == cells - 1 and not loop.outputs:
            yield place, f"'{up}' needs outputs >= 1 or a cell above, which read the read vector"
        if system.learn_initial_read and not system.feedback:
            yield place, "'learn_initial_read' needs feedback, as only feedback reads it"
    for index, system in enumerate(loop.systems):
        place = f'systems[{index}] "{system.id}"'
        for id in system.reads:
            if turns.get(id, (cells, 0)) >= turns[system.id]:
                rule = "'reads' must name systems that take their steps before it: those of a lower cell"
                yield place, f"{rule}, and of the same cell those further up in the config: {short_repr(id)}"
        if len(set(system.reads)) < len(system.reads):
            yield place, f"'reads' must name a system once: {list(system.reads)}"


def count_parts(held: Any) -> int:
    """Return the number of cells and systems that are built for a loop, a part or settings.

    Those that a part holds count once for each of its layers.
    """
    if isinstance(held, PartConfig):
        return getattr(held, "layers", 1) * (1 + count_parts(held.settings))
    if isinstance(held, Mapping):
        return sum(map(count_parts, held.values()))
    if isinstance(held, list | tuple):
        return sum(map(count_parts, held))
    if attrs.has(type(held)):
        return sum(count_parts(getattr(held, field.name)) for field in attrs.fields(type(held)))
    return 0


def _id_of(system: Any) -> Any:
    if isinstance(system, SystemConfig):
        return system.id
    table = system if isinstance(system, Mapping) else {"use": system}
    return table.get("id", _default_id(table.get("use")))


def _default_id(use: Any) -> str | None:
    """``superloop-plugin-stacks:stack.v2`` -> ``stack``; a class ``RingBuffer`` -> ``ring_buffer``."""
    named = _shown(use)
    return snake_case(named.rpartition(":")[2].partition(".")[0]) if isinstance(named, str) else None


def _shown(use: Any) -> Any:
    """The name of a class or a function, and that of an object's class."""
    if not is_object(use):
        return use
    return use.__name__ if is_factory(use) else type(use).__name__


def _table_of(where: str) -> str:
    """``loop.cells[0] "superloop".loop`` -> ``loop.cells.loop``, as TOML names the table."""
    return re.sub(r'\[\d+\]| ".*?"', "", where)


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str | bytes)
