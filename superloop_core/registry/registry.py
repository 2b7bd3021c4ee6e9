"""Registry: plugins found by entry points, loaded one by one, resolved by name.

Loading has three stages: first the entry points' metadata; then each plugin's light module, only when a
name may belong to it, and alone, so that a broken one becomes a record and not a crash; and a factory only
when a config names it. Light modules are imported first and registered then, as one may specify the hooks
that another implements.
"""

import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from superloop_core.errors import (
    PluginError,
    UnknownPluginError,
    cut,
    did_you_mean,
    nearest,
    reason,
    short_repr,
)
from superloop_core.registry import hookspecs
from superloop_core.registry.discovery import discover
from superloop_core.registry.entry_point import (
    CORE,
    CORE_HOOKS,
    Contribution,
    LightModule,
    check_metadata,
    core_versions,
    import_light,
    load_contribution,
)
from superloop_core.registry.records import PIP_NAME, UNKNOWN, Origin, PluginRecord, UnusablePlugin
from superloop_core.registry.selection import STRICT, Selection
from superloop_core.registry.specs import KINDS, LOCAL, PluginSpec, TableSpec, normalized, snake_case

if TYPE_CHECKING:
    import click

CORE_TABLES = ("loop", "plugins")
MAX_TRACEBACK = 20_000  # characters


class Registry:
    """The plugins of some entry points.

    Nothing is imported until it is needed: a name with its distribution, ``dist:name``, loads the plugins
    of that distribution only; anything else loads all. Whatever a plugin raises when it is imported or its
    hooks are called makes that entry point broken, and no other; only KeyboardInterrupt passes.

    Args:
        found: the entry points.
        selection: which plugins may be used; None: all.
        damaged: distributions whose entry points cannot be read, with the errors.

    Raises:
        PluginError: the selection is strict, and a plugin is broken or a name is in conflict.
    """

    def __init__(
        self,
        found: Iterable[EntryPoint] = (),
        selection: Selection | None = None,
        damaged: Iterable[tuple[Origin, PluginError]] = (),
    ):
        self._selection = selection or Selection()
        self._unread = sorted(found, key=lambda entry: (Origin.of(entry).distribution, entry.name))
        self._damaged = list(damaged)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._specified: dict[str, tuple[str, Any]] = dict.fromkeys(CORE_HOOKS, (CORE, hookspecs))
        self._imported: list[LightModule] = []  # those that were not registered yet
        self._all_are_imported = True  # none is blocked or cannot be imported
        self._uncalled: list[Contribution] = []  # those that were not asked for their commands yet
        self._modules: dict[tuple[str, str], str] = {}  # entry points by distribution and module
        self._records: list[PluginRecord] = []
        self._blocked: list[UnusablePlugin] = []
        self._broken: list[UnusablePlugin] = []
        self._by_name: defaultdict[tuple[str, str], list[PluginRecord]] = defaultdict(list)
        self._tables: defaultdict[str, list[tuple[Origin, TableSpec]]] = defaultdict(list)
        self._commands: defaultdict[str, list[tuple[Origin, click.Command]]] = defaultdict(list)
        self._given: dict[str, click.Command] = {}  # what a command line is given for each name
        self._known: set[str] = set()  # every name that a selection may have
        if self._selection.strict:
            self._read()
            self._refuse_conflicts()

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
    def hook(self) -> pluggy.HookRelay:
        """The hooks of the core and of plugins: ``registry.hook.superloop_NAME(...)``, as of pluggy.

        It calls those of all plugins that may be used. One that fails gives no result: its plugin is listed
        as broken, and a warning says so.
        """
        self._read()
        return self._manager.hook

    @property
    def tables(self) -> Mapping[str, TableSpec]:
        """The top-level tables of a config file by name, except those that two distributions own."""
        self._read()
        return {name: owners[0][1] for name, owners in self._tables.items() if len(owners) == 1}

    @property
    def conflicts(self) -> list[str]:
        """A sentence for each name, table or command of two distributions, which is rejected when used."""
        self._read()
        plugins = [
            _ambiguous(kind, name, found)
            for (kind, name), found in sorted(self._by_name.items())
            if len(found) > 1 and any(name in (r.spec.name, *r.spec.aliases) for r in found)
        ]
        tables = [_owned_twice(f"table [{name}]", owners) for name, owners in sorted(self._tables.items())]
        commands = [
            _owned_twice(f"command {name!r}", owners)
            for name, owners in sorted(self._owned_commands().items())
        ]
        return plugins + [sentence for sentence in tables + commands if sentence]

    @property
    def unmatched(self) -> list[str]:
        """A sentence for each name in the selection that nothing has, and each misspelt variable."""
        self._read()
        unread = list(dict.fromkeys(p.distribution for p in self._blocked + self._broken if p.kind is None))
        note = f" (the plugins of {', '.join(unread)} were not read)" if unread else ""
        return [
            f"{variable} names {name!r}, which is no plugin, entry point or distribution"
            f"{nearest(name, self._known)}{note}"
            for variable, name in self._selection.unmatched(self._known)
        ] + list(self._selection.typos)

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
        if not found and distribution:
            found = [
                record for record in self.records if record.kind == kind and name in record.spec.former_names
            ]
            if len(found) == 1:
                return found[0]
        if found:
            raise PluginError(_ambiguous(kind, name, found))
        for plugin in self._blocked:
            if plugin.answers_to(kind, name) or plugin.answers_to(kind, snake):
                raise PluginError(f"the {kind} {short_repr(name)} may not be used: {plugin.reason}")
        hint = self._qualified_hint(kind, name) if distribution else self._hint(kind, name)
        raise UnknownPluginError(f"no {kind} {short_repr(name)}{hint}")

    def made_by(self, kind: str, factory: Any) -> list[PluginRecord]:
        """Return the plugins of a kind that a class or a function makes."""
        return [record for record in self.records if record.kind == kind and record.spec.is_made_by(factory)]

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
        distribution, _, short = name.rpartition(":")
        if distribution:
            hint = self._qualified_hint(None, f"{normalized(distribution)}:{short}")
            others = sorted({record.qualified_name for record in self.records if short in record.spec.names})
            hint += f"; there is {' and '.join(others)}" if others else ""
        else:
            hint = did_you_mean(name, (record.name for record in self._records)) + self._unread_note()
        raise UnknownPluginError(f"no plugin {short_repr(name)}{hint}")

    def shortest_name(self, record: PluginRecord) -> str:
        """Return a plugin's name, with its distribution where another has the name too."""
        try:
            self.resolve(record.kind, record.name)
        except PluginError:
            return record.qualified_name
        return record.name

    def resolve_table(self, name: str) -> TableSpec:
        """Return the spec of a top-level table of a config file.

        Raises:
            PluginError: no plugin owns a table of this name, or two distributions do.
        """
        self._read()
        owners = self._tables.get(name, [])
        if len(owners) > 1:
            raise PluginError(_owned_twice(f"table [{name}]", owners))
        if not owners:
            hint = did_you_mean(name, (*CORE_TABLES, *self._tables))
            raise PluginError(f"no table [{cut(name, 200)}]{hint}{self._unread_note()}")
        return owners[0][1]

    def register(
        self, module: ModuleType, *, distribution: str, version: str = UNKNOWN, entry_point: str = ""
    ) -> None:
        """Add a light module that no entry point names, such as one of a test.

        Raises:
            PluginError: it breaks a rule; nothing is added. Its hooks' own errors are raised as they are.
        """
        origin = Origin(
            distribution=normalized(distribution), version=version, entry_point=entry_point or distribution
        )
        light = import_light(origin, lambda: module)
        self._specify(light)
        if self._implements_unknown(light):
            self._read()
        self._add(light)

    def add(self, spec: PluginSpec, *, origin: Origin, module: str) -> None:
        """Add a plugin that no light module registers; it replaces one that the same origin registered.

        Raises:
            PluginError: its distribution registers the name twice; nothing is added.
        """
        earlier = [
            record
            for record in self._records
            if record.id == origin.id and (record.kind, record.name) == (spec.kind, spec.name)
        ]
        others = [record for record in self._records if record not in earlier]
        brought = Contribution(origin=origin, module=module, specs=(spec,))
        self._refuse_duplicates(brought, others)
        self._records = others
        self._blocked = [
            one for one in self._blocked if (one.id, one.kind, one.name) != (origin.id, spec.kind, spec.name)
        ]
        for found in self._by_name.values():
            found[:] = [record for record in found if record not in earlier]
        self._known |= {normalized(origin.distribution), normalized(origin.entry_point)}
        self._enter(spec, spec.names, brought)

    def add_commands(self, cli: "click.Group") -> None:
        """Add the commands of each plugin to ``cli``, all or none.

        A plugin that fails, or that has a command of a name that ``cli`` has already, is recorded as broken.
        A command that two distributions have is added as one that raises :class:`PluginError`.
        """
        owned = self._owned_commands()
        for name in list(owned):
            ours = [self._given.get(name), *(command for _, command in owned[name])]
            if name in cli.commands and not any(cli.commands[name] is command for command in ours):
                for origin, _ in owned[name]:
                    self._forget_commands(origin)
                    self._note_broken(origin, PluginError(f"there is a command {name!r} already"))
        for name, owners in owned.items():
            if owners and name not in self._given:
                conflict = _owned_twice(f"command {name!r}", owners)
                self._given[name] = _refused(name, conflict) if conflict else owners[0][1]
            if owners:
                cli.add_command(self._given[name], name)
        self._refuse_conflicts()

    def _owned_commands(self) -> "dict[str, list[tuple[Origin, click.Command]]]":
        """Return the commands of all plugins by name, with their owners."""
        self._read()
        while self._uncalled:
            contribution = self._uncalled.pop(0)
            try:
                commands = contribution.commands()
            except KeyboardInterrupt:
                self._uncalled.append(contribution)
                raise
            except BaseException as error:
                self._note_broken(contribution.origin, error)
                continue
            for name, command in commands.items():
                self._commands[name].append((contribution.origin, command))
        return self._commands

    def _forget_commands(self, origin: Origin) -> None:
        for name, owners in self._commands.items():
            if any(owner == origin for owner, _ in owners):
                self._commands[name] = [(owner, command) for owner, command in owners if owner != origin]
                self._given.pop(name, None)

    def _read(self, distribution: str | None = None) -> None:
        """Load the entry points that were not loaded yet, all or those of one distribution."""
        for origin, error in self._damaged:
            self._known.add(origin.distribution)
            self._all_are_imported = False
            if blocked := self._reason_against(origin, (origin.distribution,), all_of_it=True):
                self._note_blocked(origin, blocked)
            else:
                self._note_broken(origin, error)
        self._damaged = []
        self._import(distribution)
        if any(self._implements_unknown(light) for light in self._imported):
            self._import()  # as any may specify it
        while self._imported:
            light = self._imported.pop(0)
            try:
                self._add(light)
            except KeyboardInterrupt:
                self._imported.insert(0, light)  # the next use registers it
                raise
            except BaseException as error:
                self._note_broken(light.origin, error, light.seconds)

    def _import(self, distribution: str | None = None) -> None:
        """Import light modules, all or those of one distribution, and add the hooks that they specify."""
        versions = core_versions() if self._unread else ()
        for entry_point in list(self._unread):
            origin = Origin.of(entry_point)
            if distribution not in (None, origin.distribution):
                continue
            self._unread.remove(entry_point)
            self._known |= {normalized(origin.distribution), normalized(origin.entry_point)}
            names = origin.distribution, origin.entry_point
            if blocked := self._reason_against(origin, names, all_of_it=True):
                self._all_are_imported = False
                self._note_blocked(origin, blocked)
                continue
            began = time.perf_counter()
            try:
                if origin.distribution == LOCAL:
                    raise PluginError(f"the name {LOCAL!r} is the core's own; rename the distribution")
                check_metadata(entry_point, versions)
                light = import_light(origin, entry_point.load)
                self._specify(light)
                self._imported.append(light)
            except KeyboardInterrupt:
                self._unread.append(entry_point)  # the next use loads it
                raise
            except BaseException as error:
                self._all_are_imported = False
                self._note_broken(origin, error, time.perf_counter() - began)

    def _specify(self, light: LightModule) -> None:
        """Add the hooks that a light module specifies, all or none.

        Raises:
            PluginError: another module specifies one of them.
        """
        specified = dict(self._specified)
        for name, space in light.specified:
            owner, owned = specified.setdefault(name, (light.origin.distribution, space))
            if owned is not space:
                raise PluginError(f"the hook {name!r} is specified by {owner} already; rename it")
        before = [space for _, space in self._specified.values()]
        for space in dict.fromkeys(light.hookspecs):
            if space not in before:  # two distributions may name one module
                self._manager.add_hookspecs(space)
        self._specified = specified

    def _implements_unknown(self, light: LightModule) -> bool:
        return any(hook not in self._specified for _, hook, _ in light.implemented)

    def _add(self, light: LightModule) -> None:
        """Add all that a light module contributes and that may be used, or nothing."""
        origin = light.origin
        if other := self._modules.get((origin.distribution, light.module.__name__)):
            raise PluginError(
                f"the entry point {other!r} names the module {light.module.__name__!r} too; leave one out"
            )
        brought = load_contribution(
            light, self._manager, fails=self._note_failed_hook, all_are_known=self._all_are_imported
        )
        try:
            named = [(spec, tuple(spec.names)) for spec in brought.specs]
            self._refuse_duplicates(brought, self._records)
            blocked = self._reason_against(origin, (origin.distribution, origin.entry_point))
        except BaseException:
            self._unregister(brought)
            raise
        self._modules[origin.distribution, brought.module] = origin.id
        if blocked:
            # Only single plugins of it may be used, if any: no table, no command, no other hook.
            self._unregister(brought)
            if not brought.specs:
                self._note_blocked(origin, blocked)
        else:
            self._uncalled.append(brought)
            for table in brought.tables:
                self._tables[table.name].append((origin, table))
        for spec, names in named:
            self._enter(spec, names, brought)

    def _unregister(self, brought: Contribution) -> None:
        for _, implementation in brought.hooks[:1]:  # all have one plugin
            self._manager.unregister(implementation.plugin)

    def _enter(self, spec: PluginSpec, names: tuple[str, ...], brought: Contribution) -> None:
        """Make a plugin known by its names, or note that it is blocked."""
        origin = brought.origin
        qualified = [f"{origin.distribution}:{name}" for name in names]
        self._known |= {normalized(name) for name in (*names, *qualified)}
        everything = origin.distribution, origin.entry_point, *names, *qualified
        if blocked := self._reason_against(origin, everything):
            self._note_blocked(origin, blocked, spec)
            return
        record = PluginRecord(
            **attrs.asdict(origin), spec=spec, module=brought.module, seconds=brought.seconds
        )
        self._records.append(record)
        for name in (*names, *qualified):
            self._by_name[spec.kind, name].append(record)

    def _reason_against(self, origin: Origin, names: Iterable[str], *, all_of_it: bool = False) -> str | None:
        """Why the selection excludes something; a plugin of this process is allowed, unless it is blocked."""
        selection = self._selection
        if origin.distribution == LOCAL:
            selection = attrs.evolve(selection, allowed=None)
        return selection.reason_against(names, all_of_it=all_of_it)

    def _refuse_duplicates(self, brought: Contribution, others: Iterable[PluginRecord]) -> None:
        """Reject names and tables that one distribution registers twice."""
        distribution = brought.origin.distribution
        taken = {(o.kind, name) for o in others if o.distribution == distribution for name in o.spec.names}
        plugins = [(spec.kind, name) for spec in brought.specs for name in spec.names]
        for (kind, name), count in Counter(plugins).items():
            if count > 1 or (kind, name) in taken:
                raise PluginError(f"{distribution} registers the {kind} {name!r} twice")
        for name, count in Counter(table.name for table in brought.tables).items():
            if name in CORE_TABLES:
                raise PluginError(f"the table [{name}] is owned by the core already")
            if count > 1 or any(owner.distribution == distribution for owner, _ in self._tables[name]):
                raise PluginError(f"{distribution} registers the table [{name}] twice")

    def _refuse_conflicts(self) -> None:
        if self._selection.strict and (conflicts := self.conflicts):
            raise PluginError(f"{STRICT} is set, and {'; '.join(conflicts)}")

    def _note_blocked(self, origin: Origin, reason: str, spec: PluginSpec | None = None) -> None:
        name, kind = (spec.name, spec.kind) if spec else (origin.entry_point, None)
        names = spec.names if spec else ()
        self._blocked.append(
            UnusablePlugin(
                **attrs.asdict(origin), state="blocked", name=name, names=names, kind=kind, reason=reason
            )
        )

    def _note_broken(self, origin: Origin, error: BaseException, seconds: float = 0.0) -> None:
        why = reason(error)
        if self._selection.strict:
            raise PluginError(f"{origin.distribution} is broken, and {STRICT} is set: {why}") from error
        try:
            text = "".join(traceback.format_exception(error))
        except Exception:  # the error's own class fails
            text = why
        self._broken.append(
            UnusablePlugin(
                **attrs.asdict(origin),
                state="broken",
                name=origin.entry_point or origin.distribution,
                reason=why,
                traceback=text if len(text) <= MAX_TRACEBACK else f"...{text[-MAX_TRACEBACK:]}",
                seconds=seconds,
            )
        )

    def _note_failed_hook(self, origin: Origin, hook: str, error: BaseException) -> None:
        if all(plugin.id != origin.id for plugin in self._broken):
            self._note_broken(origin, error)
        owner = origin.entry_point if origin.distribution == LOCAL else origin.distribution
        warnings.warn(
            f"{owner} is broken: its hook {hook} raised {reason(error)}",
            RuntimeWarning,
            stacklevel=2,
        )

    def _hint(self, kind: str, name: str) -> str:
        """What may be meant by a name without a distribution that nothing has, or where it may be."""
        snake = snake_case(name)
        if other_kinds := sorted({other for other, known in self._by_name if known in (name, snake)}):
            return f"; {short_repr(name)} is a {' and a '.join(other_kinds)}"
        hint = did_you_mean(snake, (record.name for record in self._records if record.kind == kind))
        if unread := self._unread_note():
            return hint + unread
        if "did you mean" not in hint and len(name) <= 100 and PIP_NAME.fullmatch(name):
            likely = snake.partition(".")[0].replace("_", "-")
            hint += f"; a plugin may provide it (look for superloop-plugin-{likely})"
        return hint

    def _unread_note(self) -> str:
        """What may have a name that is unknown: the entry points that are blocked or broken."""
        notes = ""
        if blocked := [plugin for plugin in self._blocked if plugin.kind is None]:
            reasons = "; ".join(dict.fromkeys(plugin.reason for plugin in blocked))
            notes += f"; a plugin that is blocked may provide it: {_distributions(blocked)} ({reasons})"
        broken = {plugin.distribution: plugin.reason for plugin in self._broken}
        if len(broken) == 1:
            ((distribution, why),) = broken.items()
            notes += f"; {distribution} is installed, but broken: {why}"
        elif broken:
            listed = _distributions(self._broken)
            notes += f"; a broken plugin may provide it: {listed} (superloop plugins --broken)"
        return notes

    def _qualified_hint(self, kind: str | None, qualified: str) -> str:
        """What is known of the distribution of a name that nothing has, of a kind or of any."""
        distribution, _, name = qualified.rpartition(":")
        if distribution == LOCAL:
            names = (record.name for record in self._records if record.distribution == LOCAL)
            moved = self._by_name.get((str(kind), name))
            if moved:
                return (
                    f"; {moved[0].distribution} has a {kind} {name!r}: if it is the same, its spec can say "
                    f"former_names = ({qualified!r},)"
                )
            return (
                f"{nearest(snake_case(name), names)}; it is defined by no package: define it with "
                "@superloop_core.register before, or run superloop -p FILE"
            )
        brought = [record for record in self._records if record.distribution == distribution]
        for plugin in self._broken:
            if plugin.distribution == distribution:
                return f"; {distribution} is installed, but broken: {plugin.reason}"
        if brought:
            names = (record.name for record in brought if kind in (None, record.kind))
            hint = did_you_mean(snake_case(name), names)
            return f"; {distribution} {brought[0].version} is installed{hint}"
        known = len(distribution) <= 100 and PIP_NAME.fullmatch(distribution)
        return f"; install it: pip install {distribution}" if known else ""


_loaded: Registry | None = None
_local: dict[object, Callable[[Registry], None]] = {}  # what adds each local plugin, in order


def load_registry() -> Registry:
    """Return the registry of all plugins that may be used: installed ones, and those of this process.

    Raises:
        PluginError: a plugin is broken or a name is in conflict, and ``SUPERLOOP_STRICT_PLUGINS`` is set.
    """
    global _loaded
    if _loaded is None:
        found = discover()
        registry = Registry(found.entry_points, Selection.of(), found.damaged)
        for add in _local.values():
            add(registry)
        _loaded = registry
    return _loaded


def add_local(key: object, add: Callable[[Registry], None]) -> None:
    """Add a plugin of this process to the registry in use, and to each that is found from now on.

    Args:
        key: what it is known by; the plugin of an equal key is replaced.
        add: adds it to a registry, or raises.
    """
    add(load_registry())
    _local[key] = add


def count_local() -> int:
    """Return the number of plugins of this process, a file with hooks counted as one."""
    return len(_local)


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
    return f"{len(choices)} distributions have a {kind} {short_repr(name)}; write {' or '.join(choices)}"


def _owned_twice(thing: str, owners: Iterable[tuple[Origin, object]]) -> str:
    """Return why something may not be used, or nothing where it has one owner."""
    names = [origin.distribution for origin, _ in owners]
    if len(names) < 2:
        return ""
    return (
        f"the {thing} is owned by {' and '.join(names)}; leave one of them out (SUPERLOOP_DISABLE_PLUGINS, "
        "or -p no:NAME)"
    )


def _refused(name: str, reason: str) -> "click.Command":
    """Return a command that raises an error when it is used."""
    import click

    def refuse() -> None:
        raise PluginError(reason)

    return click.Command(
        name,
        callback=refuse,
        help=reason,
        short_help="Refused: two distributions have it.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _distributions(plugins: Iterable[UnusablePlugin]) -> str:
    names = list(dict.fromkeys(plugin.distribution for plugin in plugins))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
