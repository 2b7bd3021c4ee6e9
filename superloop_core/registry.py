"""The plugins there are: found by entry points, read one by one, resolved by name.

Loading has three stages. Entry-point metadata is read first; then each plugin's light module, by
itself, so that a broken one is a record and not a crash; a factory only when a config names it.
"""

import re
import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from superloop_core import hookspecs
from superloop_core.errors import PluginError, did_you_mean, message
from superloop_core.plugin import PluginSpec, TableSpec, snake_case
from superloop_core.selection import STRICT, Selection

if TYPE_CHECKING:
    import click


@attrs.frozen(kw_only=True)
class PluginRecord:
    """A spec that a distribution registered, and which."""

    spec: PluginSpec
    distribution: str
    version: str

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which always resolves and is what saved files hold."""
        return f"{self.distribution}:{self.spec.name}"

    @property
    def state(self) -> str:
        """``ready``: a broken plugin has no specs to record, and a blocked one is a record of its own."""
        return "ready"


@attrs.frozen(kw_only=True)
class BlockedPlugin:
    """A plugin, or an entry point with all that it would bring, that may not be used, and why."""

    name: str
    kind: str | None
    distribution: str
    version: str
    reason: str

    @property
    def state(self) -> str:
        """``blocked``."""
        return "blocked"


@attrs.frozen(kw_only=True)
class BrokenPlugin:
    """An entry point that could not be read, with the reason and its traceback."""

    entry_point: str
    distribution: str
    version: str
    reason: str
    traceback: str = attrs.field(repr=False)

    @property
    def state(self) -> str:
        """``broken``."""
        return "broken"


class Registry:
    """The plugins of some entry points.

    Attributes:
        records: every cell, system and task that was registered, in the order of their names.
        broken: every entry point that could not be read.
        blocked: every plugin, and every entry point, that the selection leaves out.
        tables: the top-level tables of a config file, by name.
    """

    def __init__(self, found: Iterable[EntryPoint], selection: Selection | None = None):
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.records: list[PluginRecord] = []
        self.broken: list[BrokenPlugin] = []
        self.blocked: list[BlockedPlugin] = []
        self._selection = selection or Selection()
        self.tables: dict[str, TableSpec] = {}
        self._owners = {"loop": "the core", "plugins": "the core"}
        self._entry_points: dict[str, EntryPoint] = {}
        for entry_point in sorted(found, key=lambda e: (_distribution(e), e.name)):
            names = _distribution(entry_point), entry_point.name
            if reason := self._selection.reason_against(names, all_of_it=True):
                self._note_blocked(entry_point, reason)
                continue
            try:
                self._read(entry_point)
            except (Exception, SystemExit) as error:
                self._note_broken(entry_point, error)
        self.records.sort(key=lambda record: (record.spec.kind, record.spec.name, record.distribution))
        self.blocked.sort(key=lambda plugin: (plugin.kind or "", plugin.name, plugin.distribution))
        self._by_name: Mapping[tuple[str, str], list[PluginRecord]] = self._index()

    def resolve(self, kind: str, name: str) -> PluginRecord:
        """Return the record of ``name``, ``distribution:name`` or the original's CamelCase name.

        Raises:
            PluginError: no plugin, or more than one, has this name.
        """
        found = self._by_name.get((kind, name)) or self._by_name.get((kind, snake_case(name)), [])
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(repr(record.qualified_name) for record in found)
            raise PluginError(f"{len(found)} distributions have a {kind} {name!r}; write {choices}")
        meant = {name, snake_case(name), name.rpartition(":")[2]}
        for plugin in self.blocked:
            if plugin.kind in (kind, None) and plugin.name in meant:
                raise PluginError(f"the {kind} {name!r} may not be used: {plugin.reason}")
        raise PluginError(f"no {kind} {name!r}{self._hint(kind, name)}")

    def add_commands(self, cli: "click.Group") -> None:
        """Let each plugin add its commands to ``cli``, all or none; one that fails is noted as broken."""
        for implementation in self._manager.hook.superloop_add_commands.get_hookimpls():
            before = dict(cli.commands)
            try:
                implementation.function(cli)
                for name, command in before.items():
                    if cli.commands.get(name) is not command:
                        raise PluginError(f"there is a command {name!r} already")
            except (Exception, SystemExit) as error:
                cli.commands = before
                self._note_broken(self._entry_points[implementation.plugin_name], error)

    def _read(self, entry_point: EntryPoint) -> None:
        """Take up everything that one entry point brings, or nothing."""
        module = entry_point.load()
        distribution = _distribution(entry_point)
        name = f"{distribution}:{entry_point.name}"
        self._manager.register(module, name=name)
        try:
            _check_hooks(module)
            specs = _called(self._manager.hook.superloop_register, name, PluginSpec)
            tables = _called(self._manager.hook.superloop_config_tables, name, TableSpec)
            self._refuse_duplicates(distribution, specs, tables)
        except (Exception, SystemExit):
            self._manager.unregister(name=name)
            raise
        if self._selection.reason_against((distribution, entry_point.name)):
            self._manager.unregister(name=name)  # only some of its plugins are allowed: no table, no command
            tables = []
        self._entry_points[name] = entry_point
        self.tables |= {table.name: table for table in tables}
        self._owners |= {table.name: distribution for table in tables}
        version = _version(entry_point)
        for spec in specs:
            names = distribution, entry_point.name, spec.name, f"{distribution}:{spec.name}"
            if reason := self._selection.reason_against(names):
                self._note_blocked(entry_point, reason, spec)
            else:
                self.records.append(PluginRecord(spec=spec, distribution=distribution, version=version))

    def _refuse_duplicates(
        self, distribution: str, specs: Iterable[PluginSpec], tables: Iterable[TableSpec]
    ) -> None:
        taken = {(one.spec.kind, one.spec.name) for one in self.records if one.distribution == distribution}
        for spec in specs:
            if (spec.kind, spec.name) in taken:
                raise PluginError(f"{distribution} registers the {spec.kind} {spec.name!r} twice")
            taken.add((spec.kind, spec.name))
        owners = dict(self._owners)
        for table in tables:
            if table.name in owners:
                raise PluginError(f"the table [{table.name}] is owned by {owners[table.name]} already")
            owners[table.name] = distribution

    def _note_blocked(self, entry_point: EntryPoint, reason: str, spec: PluginSpec | None = None) -> None:
        self.blocked.append(
            BlockedPlugin(
                name=spec.name if spec else entry_point.name,
                kind=spec.kind if spec else None,
                distribution=_distribution(entry_point),
                version=_version(entry_point),
                reason=reason,
            )
        )

    def _note_broken(self, entry_point: EntryPoint, error: BaseException) -> None:
        if self._selection.strict:
            what = f"{_distribution(entry_point)} is broken, and {STRICT} is set"
            raise PluginError(f"{what}: {type(error).__name__}: {message(error)}") from error
        self.broken.append(
            BrokenPlugin(
                entry_point=entry_point.name,
                distribution=_distribution(entry_point),
                version=_version(entry_point),
                reason=f"{type(error).__name__}: {message(error)}",
                traceback="".join(traceback.format_exception(error)),
            )
        )

    def _index(self) -> dict[tuple[str, str], list[PluginRecord]]:
        index = defaultdict(list)
        for record in self.records:
            index[record.spec.kind, record.spec.name].append(record)
            index[record.spec.kind, record.qualified_name].append(record)
        return dict(index)

    def _hint(self, kind: str, name: str) -> str:
        if other_kinds := sorted(
            other for other, known in self._by_name if known in (name, snake_case(name))
        ):
            return f"; {name!r} is a {' and a '.join(other_kinds)}"
        distribution, colon, short = name.rpartition(":")
        if colon:
            return self._qualified_hint(kind, distribution, short)
        hint = did_you_mean(
            snake_case(name), (record.spec.name for record in self.records if record.spec.kind == kind)
        )
        if "did you mean" not in hint and _NAME.fullmatch(name):
            likely = snake_case(name).partition(".")[0].replace("_", "-")
            hint += f"; a plugin may bring it (look whether there is a superloop-plugin-{likely})"
        return hint + "".join(self._broken_note(plugin.distribution) for plugin in self.broken)

    def _qualified_hint(self, kind: str, distribution: str, name: str) -> str:
        brought = [record.spec for record in self.records if record.distribution == distribution]
        if brought:
            return did_you_mean(snake_case(name), (spec.name for spec in brought if spec.kind == kind))
        if note := self._broken_note(distribution):
            return note
        return f"; install it: pip install {distribution}" if _NAME.fullmatch(distribution) else ""

    def _broken_note(self, distribution: str) -> str:
        for plugin in self.broken:
            if plugin.distribution == distribution:
                return f"; {distribution} is installed, but broken: {plugin.reason}"
        return ""


_NAME = re.compile(r"\w[\w.-]*")  # what may be shown as an argument of pip


@cache
def load_registry() -> Registry:
    """Return the registry of every plugin that is installed and may be used; they are read at the first call.

    Raises:
        PluginError: a plugin is broken, and ``SUPERLOOP_STRICT_PLUGINS`` is set.
    """
    return Registry(entry_points(group=hookspecs.ENTRY_POINT_GROUP), Selection.of())


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value.partition(".")[0]


def _version(entry_point: EntryPoint) -> str:
    return entry_point.dist.version if entry_point.dist else "unknown"


def _check_hooks(module: Any) -> None:
    """Refuse a hook whose name no hookspec has, and one that is not marked: neither would be called."""
    known = [name for name in vars(hookspecs) if name.startswith("superloop_")]
    for name, value in vars(module).items():
        marked = hasattr(value, f"{hookspecs.PROJECT}_impl")
        if marked and name not in known:
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, known)}")
        if name in known and not marked:
            raise PluginError(f"{name!r} is not marked as a hook; write @hookimpl above it")


def _called(hook: pluggy.HookCaller, plugin_name: str, expected: type) -> list[Any]:
    """Call one plugin's implementation of a hook, and check what it yields."""
    results: list[Any] = []
    for implementation in hook.get_hookimpls():
        if implementation.plugin_name == plugin_name:
            made = implementation.function()
            results.extend(made if isinstance(made, Iterable) else [made])
    for result in results:
        if not isinstance(result, expected):
            raise PluginError(f"{hook.name} must yield {expected.__name__} objects: {result!r}")
    return results
