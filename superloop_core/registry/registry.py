"""Registry: plugins found by entry points, loaded one by one, resolved by name.

Loading has three stages: first the entry points' metadata; then each plugin's light module, only when a
name may belong to it, and alone, so that a broken one becomes a record and not a crash; and a factory only
when a config names it.
"""

import re
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points, version
from types import ModuleType
from typing import TYPE_CHECKING

import attrs

from superloop_core.errors import PluginError, UnknownPluginError, did_you_mean, message
from superloop_core.registry.entry_point import (
    CORE,
    Contribution,
    check_requirement,
    load_contribution,
    new_manager,
)
from superloop_core.registry.hookspecs import ENTRY_POINT_GROUP
from superloop_core.registry.records import Origin, PluginRecord, UnusablePlugin
from superloop_core.registry.selection import STRICT, Selection
from superloop_core.registry.specs import KINDS, PluginSpec, TableSpec, normalized, snake_case

if TYPE_CHECKING:
    import click

CORE_TABLES = ("loop", "plugins")
_PIP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # of PEP 508, safe to print


class Registry:
    """The plugins of some entry points.

    Nothing is imported until it is needed: a name with its distribution, ``dist:name``, loads the plugins
    of that distribution only; anything else loads all.

    Args:
        found: the entry points.
        selection: which plugins may be used; None: all.

    Raises:
        PluginError: the selection is strict and an entry point is broken.
    """

    def __init__(self, found: Iterable[EntryPoint] = (), selection: Selection | None = None):
        self._selection = selection or Selection()
        self._manager = new_manager()
        self._unread = sorted(found, key=lambda entry: (Origin.of(entry).distribution, entry.name))
        self._origins: dict[str, Origin] = {}  # by the names that pluggy knows light modules by
        self._records: list[PluginRecord] = []
        self._blocked: list[UnusablePlugin] = []
        self._broken: list[UnusablePlugin] = []
        self._by_name: defaultdict[tuple[str, str], list[PluginRecord]] = defaultdict(list)
        self._tables: defaultdict[str, list[tuple[Origin, TableSpec]]] = defaultdict(list)
        if self._selection.strict:
            self._read()

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin that may be used, sorted by kind and name."""
        self._read()
        return sorted(self._records, key=lambda plugin: (plugin.kind, plugin.name, plugin.distribution))

    @property
    def blocked(self) -> list[UnusablePlugin]:
        """Every plugin and every entry point that the selection excludes."""
        self._read()
        return sorted(self._blocked, key=lambda plugin: (plugin.kind or "", plugin.name, plugin.distribution))

    @property
    def broken(self) -> list[UnusablePlugin]:
        """Every entry point that could not be loaded."""
        self._read()
        return list(self._broken)

    @property
    def tables(self) -> Mapping[str, TableSpec]:
        """The top-level tables of a config file by name, except those that two distributions own."""
        self._read()
        return {name: owners[0][1] for name, owners in self._tables.items() if len(owners) == 1}

    @property
    def conflicts(self) -> list[str]:
        """A sentence for each name or table that two distributions register, which is rejected when used."""
        self._read()
        plugins = [
            _ambiguous(kind, name, found)
            for (kind, name), found in sorted(self._by_name.items())
            if len(found) > 1 and any(name in (r.spec.name, *r.spec.aliases) for r in found)
        ]
        return plugins + [
            _owned_twice(name, owners) for name, owners in sorted(self._tables.items()) if len(owners) > 1
        ]

    def resolve(self, kind: str, name: str) -> PluginRecord:
        """Return the record of ``name``, ``distribution:name``, an alias or the original's CamelCase name.

        ``stack`` and ``stack.v1`` are one name: a plugin whose behaviour changes is ``stack.v2``.

        Raises:
            PluginError: no plugin, or more than one, has this name.
        """
        distribution, _, short = name.rpartition(":")
        distribution = normalized(distribution)
        self._read(distribution or None)
        name, snake = (":".join(filter(None, (distribution, s))) for s in (short, snake_case(short)))
        found = self._by_name.get((kind, name)) or self._by_name.get((kind, snake), [])
        if len(found) == 1:
            return found[0]
        if found:
            raise PluginError(_ambiguous(kind, name, found))
        for plugin in self._blocked:
            if plugin.answers_to(kind, name) or plugin.answers_to(kind, snake):
                raise PluginError(f"the {kind} {name!r} may not be used: {plugin.reason}")
        raise UnknownPluginError(f"no {kind} {name!r}{self._hint(kind, name)}")

    def find(self, name: str) -> list[PluginRecord]:
        """Return the plugins of every kind that have a name; ``kind:name`` selects one kind.

        Raises:
            PluginError: there is none, or the name is ambiguous within a kind.
        """
        kind, _, rest = name.partition(":")
        if kind in KINDS:
            return [self.resolve(kind, rest)]
        found, refused = [], []
        for kind in KINDS:
            try:
                found.append(self.resolve(kind, name))
            except UnknownPluginError:
                continue
            except PluginError as error:  # ambiguous, or not to be used
                refused.append(error)
        if found:
            return found
        if refused:
            raise refused[0]
        everything = (record.name for record in self._records)
        raise UnknownPluginError(f"no plugin {name!r}{did_you_mean(name, everything)}")

    def resolve_table(self, name: str) -> TableSpec:
        """Return the spec of a top-level table of a config file.

        Raises:
            PluginError: no plugin owns a table of this name, or two distributions do.
        """
        self._read()
        owners = self._tables.get(name, [])
        if len(owners) > 1:
            raise PluginError(_owned_twice(name, owners))
        if not owners:
            raise PluginError(f"no table [{name}]{did_you_mean(name, (*CORE_TABLES, *self._tables))}")
        return owners[0][1]

    def register(
        self, module: ModuleType, *, distribution: str, version: str = "unknown", entry_point: str = ""
    ) -> None:
        """Add a light module that no entry point names, such as one of a test.

        Raises:
            PluginError: it breaks a rule; nothing is added. Its hooks' own errors are raised as they are.
        """
        origin = Origin(
            distribution=normalized(distribution), version=version, entry_point=entry_point or distribution
        )
        self._add(load_contribution(self._manager, origin, lambda: module))

    def add_commands(self, cli: "click.Group") -> None:
        """Let each plugin add its commands to ``cli``, all or none; one that fails is recorded as broken."""
        self._read()
        for implementation in self._manager.hook.superloop_add_commands.get_hookimpls():
            before = dict(cli.commands)
            try:
                implementation.function(cli)
                for name, command in before.items():
                    if cli.commands.get(name) is not command:
                        raise PluginError(f"there is a command {name!r} already")
            except (Exception, SystemExit) as error:
                cli.commands = before
                self._note_broken(self._origins[implementation.plugin_name], error)

    def _read(self, distribution: str | None = None) -> None:
        """Load the entry points that were not loaded yet, all or those of one distribution."""
        for entry_point in list(self._unread):
            origin = Origin.of(entry_point)
            if distribution not in (None, origin.distribution):
                continue
            self._unread.remove(entry_point)
            if reason := self._selection.reason_against(
                (origin.distribution, origin.entry_point), all_of_it=True
            ):
                self._note_blocked(origin, reason)
                continue
            began = time.perf_counter()
            try:
                check_requirement(entry_point, version(CORE))
                self._add(load_contribution(self._manager, origin, entry_point.load))
            except (Exception, SystemExit) as error:
                self._note_broken(origin, error, time.perf_counter() - began)

    def _add(self, brought: Contribution) -> None:
        """Add all of a contribution that may be used, or nothing."""
        origin = brought.origin
        try:
            self._refuse_duplicates(brought)
        except PluginError:
            self._manager.unregister(name=origin.id)
            raise
        self._origins[origin.id] = origin
        if reason := self._selection.reason_against((origin.distribution, origin.entry_point)):
            # Only single plugins of it may be used, if any: no table, no command.
            self._manager.unregister(name=origin.id)
            if not brought.specs:
                self._note_blocked(origin, reason)
        else:
            for table in brought.tables:
                self._tables[table.name].append((origin, table))
        for spec in brought.specs:
            qualified = f"{origin.distribution}:{spec.name}"
            names = origin.distribution, origin.entry_point, spec.name, qualified
            if reason := self._selection.reason_against(names):
                self._note_blocked(origin, reason, spec)
                continue
            record = PluginRecord(
                **attrs.asdict(origin), spec=spec, module=brought.module, seconds=brought.seconds
            )
            self._records.append(record)
            for name in spec.names:
                self._by_name[spec.kind, name].append(record)
                self._by_name[spec.kind, f"{origin.distribution}:{name}"].append(record)

    def _refuse_duplicates(self, brought: Contribution) -> None:
        """Reject names and tables that one distribution registers twice."""
        distribution = brought.origin.distribution
        plugins = [(spec.kind, name) for spec in brought.specs for name in spec.names]
        for (kind, name), count in Counter(plugins).items():
            if count > 1 or self._by_name.get((kind, f"{distribution}:{name}")):
                raise PluginError(f"{distribution} registers the {kind} {name!r} twice")
        for name, count in Counter(table.name for table in brought.tables).items():
            if name in CORE_TABLES:
                raise PluginError(f"the table [{name}] is owned by the core already")
            if count > 1 or any(owner.distribution == distribution for owner, _ in self._tables[name]):
                raise PluginError(f"{distribution} registers the table [{name}] twice")

    def _note_blocked(self, origin: Origin, reason: str, spec: PluginSpec | None = None) -> None:
        name, kind = (spec.name, spec.kind) if spec else (origin.entry_point, None)
        self._blocked.append(
            UnusablePlugin(**attrs.asdict(origin), state="blocked", name=name, kind=kind, reason=reason)
        )

    def _note_broken(self, origin: Origin, error: BaseException, seconds: float = 0.0) -> None:
        reason = f"{type(error).__name__}: {message(error)}"
        if self._selection.strict:
            raise PluginError(f"{origin.distribution} is broken, and {STRICT} is set: {reason}") from error
        self._broken.append(
            UnusablePlugin(
                **attrs.asdict(origin),
                state="broken",
                name=origin.entry_point,
                reason=reason,
                traceback="".join(traceback.format_exception(error)),
                seconds=seconds,
            )
        )

    def _hint(self, kind: str, name: str) -> str:
        distribution, colon, short = name.rpartition(":")
        if colon:
            return self._qualified_hint(kind, distribution, short)
        if other_kinds := sorted(
            {other for other, known in self._by_name if known in (name, snake_case(name))}
        ):
            return f"; {name!r} is a {' and a '.join(other_kinds)}"
        hint = did_you_mean(
            snake_case(name), (record.name for record in self._records if record.kind == kind)
        )
        if "did you mean" not in hint and _PIP_NAME.fullmatch(name):
            likely = snake_case(name).partition(".")[0].replace("_", "-")
            hint += f"; a plugin may provide it (look for superloop-plugin-{likely})"
        broken = list(dict.fromkeys(plugin.distribution for plugin in self._broken))
        if len(broken) == 1:
            return hint + self._broken_note(broken[0])
        if broken:
            hint += f"; a broken plugin may provide it: {', '.join(broken)} (superloop plugins --broken)"
        return hint

    def _qualified_hint(self, kind: str, distribution: str, name: str) -> str:
        brought = [record for record in self._records if record.distribution == distribution]
        if brought:
            hint = did_you_mean(snake_case(name), (record.name for record in brought if record.kind == kind))
            return f"; {distribution} {brought[0].version} is installed{hint}"
        if note := self._broken_note(distribution):
            return note
        return f"; install it: pip install {distribution}" if _PIP_NAME.fullmatch(distribution) else ""

    def _broken_note(self, distribution: str) -> str:
        for plugin in self._broken:
            if plugin.distribution == distribution:
                return f"; {distribution} is installed, but broken: {plugin.reason}"
        return ""


_loaded: Registry | None = None


def load_registry() -> Registry:
    """Return the registry of all installed plugins that may be used.

    Raises:
        PluginError: a plugin is broken, and ``SUPERLOOP_STRICT_PLUGINS`` is set.
    """
    global _loaded
    if _loaded is None:
        _loaded = Registry(entry_points(group=ENTRY_POINT_GROUP), Selection.of())
    return _loaded


@contextmanager
def registry_in_use(registry: Registry | None) -> Iterator[None]:
    """Make :func:`load_registry` return ``registry``; None rediscovers the installed plugins."""
    global _loaded
    before, _loaded = _loaded, registry
    try:
        yield
    finally:
        _loaded = before


def _ambiguous(kind: str, name: str, found: Iterable[PluginRecord]) -> str:
    choices = [
        repr(record.qualified_name) + ("" if record.name == snake_case(name) else f" ({name!r} is its alias)")
        for record in found
    ]
    return f"{len(choices)} distributions have a {kind} {name!r}; write {' or '.join(choices)}"


def _owned_twice(name: str, owners: Iterable[tuple[Origin, TableSpec]]) -> str:
    names = " and ".join(origin.distribution for origin, _ in owners)
    return f"the table [{name}] is owned by {names}; leave one of them out (SUPERLOOP_DISABLE_PLUGINS)"
