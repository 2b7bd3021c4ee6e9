"""The plugins there are: found by entry points, read one by one, resolved by name.

Loading has three stages. Entry-point metadata is read first; then each plugin's light module, by
itself, so that a broken one is a record and not a crash; a factory only when a config names it.
"""

import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from superloop_core import hookspecs
from superloop_core.errors import PluginError, did_you_mean
from superloop_core.plugin import PluginSpec, TableSpec, snake_case

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
        """``ready``: a broken plugin has no specs to record."""
        return "ready"


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
        tables: the top-level tables of a config file, by name.
    """

    def __init__(self, found: Iterable[EntryPoint]):
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.records: list[PluginRecord] = []
        self.broken: list[BrokenPlugin] = []
        self.tables: dict[str, TableSpec] = {}
        self._owners: dict[str, str] = {}
        for entry_point in sorted(found, key=lambda e: (_distribution(e), e.name)):
            try:
                self._read(entry_point)
            except (Exception, SystemExit) as error:
                self._note_broken(entry_point, error)
        self.records.sort(key=lambda record: (record.spec.kind, record.spec.name, record.distribution))
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
        raise PluginError(f"no {kind} {name!r}{self._hint(kind, name)}")

    def add_commands(self, cli: "click.Group") -> None:
        """Let each plugin add its commands to ``cli``; one that fails is noted as broken."""
        for implementation in self._manager.hook.superloop_add_commands.get_hookimpls():
            try:
                implementation.function(cli)
            except (Exception, SystemExit) as error:
                self._note_broken(self._entry_point(implementation.plugin_name), error)

    def _read(self, entry_point: EntryPoint) -> None:
        """Take up everything that one entry point brings, or nothing."""
        module = entry_point.load()
        name = f"{_distribution(entry_point)}:{entry_point.name}"
        self._manager.register(module, name=name)
        try:
            _refuse_misspelt_hooks(module)
            specs = _called(self._manager.hook.superloop_register, name, PluginSpec)
            tables = _called(self._manager.hook.superloop_config_tables, name, TableSpec)
            for table in tables:
                if table.name in ("loop", "plugins", *self.tables):
                    owner = self._owners.get(table.name, "the core")
                    raise PluginError(f"the table [{table.name}] is owned by {owner} already")
        except (Exception, SystemExit):
            self._manager.unregister(name=name)
            raise
        for table in tables:
            self.tables[table.name] = table
            self._owners[table.name] = _distribution(entry_point)
        version = entry_point.dist.version if entry_point.dist else "unknown"
        self.records += [
            PluginRecord(spec=spec, distribution=_distribution(entry_point), version=version)
            for spec in specs
        ]

    def _note_broken(self, entry_point: EntryPoint, error: BaseException) -> None:
        self.broken.append(
            BrokenPlugin(
                entry_point=entry_point.name,
                distribution=_distribution(entry_point),
                version=entry_point.dist.version if entry_point.dist else "unknown",
                reason=f"{type(error).__name__}: {error}",
                traceback="".join(traceback.format_exception(error)),
            )
        )

    def _entry_point(self, plugin_name: str) -> EntryPoint:
        distribution, _, name = plugin_name.partition(":")
        for entry_point in entry_points(group=hookspecs.ENTRY_POINT_GROUP, name=name):
            if _distribution(entry_point) == distribution:
                return entry_point
        return EntryPoint(name=name, value=distribution, group=hookspecs.ENTRY_POINT_GROUP)

    def _index(self) -> dict[tuple[str, str], list[PluginRecord]]:
        index = defaultdict(list)
        for record in self.records:
            index[record.spec.kind, record.spec.name].append(record)
            index[record.spec.kind, record.qualified_name].append(record)
        return dict(index)

    def _hint(self, kind: str, name: str) -> str:
        distribution, colon, _ = name.rpartition(":")
        if colon and all(record.distribution != distribution for record in self.records):
            return self._broken_note(distribution) or f"; install it: pip install {distribution}"
        known = sorted({record.spec.name for record in self.records if record.spec.kind == kind})
        hint = did_you_mean(snake_case(name), known)
        if "did you mean" not in hint:
            distribution = f"superloop-plugin-{snake_case(name).replace('_', '-')}"
            hint += f"; a plugin may bring it: pip install {distribution}"
        return hint + "".join(self._broken_note(plugin.distribution) for plugin in self.broken)

    def _broken_note(self, distribution: str) -> str:
        for plugin in self.broken:
            if plugin.distribution == distribution:
                return f"; {distribution} is installed, but broken: {plugin.reason}"
        return ""


@cache
def load_registry() -> Registry:
    """Return the registry of every plugin that is installed; they are read at the first call."""
    return Registry(entry_points(group=hookspecs.ENTRY_POINT_GROUP))


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value.partition(".")[0]


def _refuse_misspelt_hooks(module: Any) -> None:
    """Refuse a function that is marked as a hook, but whose name no hookspec has."""
    known = [name for name in vars(hookspecs) if name.startswith("superloop_")]
    for name, value in vars(module).items():
        if hasattr(value, f"{hookspecs.PROJECT}_impl") and name not in known:
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, known)}")


def _called(hook: pluggy.HookCaller, plugin_name: str, expected: type) -> list[Any]:
    """Call one plugin's implementation of a hook, and check what it yields."""
    results: list[Any] = []
    for implementation in hook.get_hookimpls():
        if implementation.plugin_name == plugin_name:
            results.extend(implementation.function())  # type: ignore[arg-type]
    for result in results:
        if not isinstance(result, expected):
            raise PluginError(f"{hook.name} must yield {expected.__name__} objects: {result!r}")
    return results
