"""One entry point: its light module imported, its hooks called, and the results checked."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial, wraps
from importlib.metadata import EntryPoint, distributions
from inspect import isfunction, isroutine
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from superloop_core.errors import PluginError, did_you_mean, short_repr
from superloop_core.registry import hookspecs
from superloop_core.registry.records import UNKNOWN, Origin, metadata_folder, name_and_version
from superloop_core.registry.specs import KINDS, PluginSpec, TableSpec

if TYPE_CHECKING:
    import click

CORE = "superloop-core"
PREFIX = "superloop_"  # of every hook's name
CORE_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(PREFIX))
# Those that are called to load a plugin: one that raises makes it broken.
LATER_HOOKS = ("superloop_part_of", "superloop_complete_tables", "superloop_check_config")
LOADING_HOOKS = tuple(name for name in CORE_HOOKS if name not in LATER_HOOKS)
IMPL_MARK, SPEC_MARK = f"{hookspecs.PROJECT}_impl", f"{hookspecs.PROJECT}_spec"  # pluggy's attributes
MAX_RESULTS = 1_000  # of a hook: a generator may have no end
COMMAND_NAME = re.compile(r"\w[\w.:-]{0,49}")


@attrs.frozen(kw_only=True)
class LightModule:
    """A light module that is imported.

    Args:
        origin: where it comes from.
        module: the module.
        hookspecs: modules and classes with the hooks that it specifies.
        seconds: the time to import it.
    """

    origin: Origin
    module: ModuleType
    hookspecs: tuple[Any, ...] = ()
    seconds: float = 0.0

    @property
    def specified(self) -> list[tuple[str, Any]]:
        """The names of the hooks that it specifies, each with its module or class."""
        return [(name, space) for space in self.hookspecs for name in _marked(space, SPEC_MARK)]

    @property
    def implemented(self) -> list[tuple[str, str, Any]]:
        """The hooks that it implements: the attribute, the hook's name and the function."""
        return [
            (attribute, getattr(value, IMPL_MARK).get("specname") or attribute, value)
            for attribute, value in _marked(self.module, IMPL_MARK).items()
        ]


@attrs.frozen(kw_only=True)
class Contribution:
    """What one entry point contributes.

    Args:
        origin: where it comes from.
        module: the name of its light module.
        seconds: the time to import that.
        specs: of cells, systems, tasks and metrics.
        tables: of config files.
        hooks: the names of the hooks that the module implements, each with an implementation.
    """

    origin: Origin
    module: str
    seconds: float = 0.0
    specs: tuple[PluginSpec, ...] = ()
    tables: tuple[TableSpec, ...] = ()
    hooks: tuple[tuple[str, pluggy.HookImpl], ...] = ()

    def commands(self) -> "dict[str, click.Command]":
        """Return the commands that the module adds to the command line, by name.

        Raises:
            PluginError: one is not a command, or cannot be listed. The hook's own errors are raised as they
                are.
        """
        import click

        group = click.Group()  # of its own, so that no plugin can touch the commands of another
        for name, implementation in self.hooks:
            if name == "superloop_add_commands":
                implementation.function(*[group for _ in implementation.argnames])
        for name, command in group.commands.items():
            if not isinstance(command, click.Command):
                raise PluginError(
                    f"the command {short_repr(name)} is not a click.Command: {short_repr(command)}"
                )
            if not (isinstance(name, str) and COMMAND_NAME.fullmatch(name)):
                raise PluginError(
                    "a command's name must have 1 to 50 letters, digits, '_', '-', '.' or ':': "
                    f"{short_repr(name)}"
                )
            if not isinstance(command.get_short_help_str(), str):
                raise PluginError(f"the command {name!r} has no text for superloop --help")
        return dict(group.commands)


def core_versions() -> list[str]:
    """Return the installed versions of the core: one, or several where remains of others are left."""
    found = (name_and_version(distribution) for distribution in distributions(name=CORE))
    return sorted({version for name, version in found if name == CORE and version != UNKNOWN})


def check_metadata(entry_point: EntryPoint, versions: Collection[str]) -> None:
    """Check that a distribution has a name, and is made for this version of the core, before it is imported.

    Args:
        entry_point: of the distribution.
        versions: of the core; one that fits is enough, as another may be the remains of an installation.

    Raises:
        PluginError: its metadata cannot be read, or requires another version.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    if entry_point.dist is None:
        return
    if name_and_version(entry_point.dist)[0] is None:
        raise PluginError(
            f"its metadata in {metadata_folder(entry_point.dist)} has no name that can be read; "
            "remove that folder, and install it again"
        )
    for text in entry_point.dist.requires or ():
        if not canonicalize_name(text[: len(CORE)]).startswith(CORE):
            continue  # another's name: not worth parsing
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) != CORE or not applies:
            continue
        fits = any(requirement.specifier.contains(version, prereleases=True) for version in versions)
        if versions and not fits:
            raise PluginError(
                f"it is made for {CORE} {requirement.specifier}, and {', '.join(versions)} is installed; "
                "install a version of either that fits the other"
            )


def import_light(origin: Origin, load: Callable[[], Any]) -> LightModule:
    """Import a light module, and ask for the hooks that it specifies.

    Args:
        origin: where the module comes from.
        load: imports it.

    Raises:
        PluginError: it is not a module, or specifies something other than hooks. Its own errors are raised
            as they are.
    """
    began = time.perf_counter()
    module = load()
    light = LightModule(origin=origin, module=module, seconds=time.perf_counter() - began)
    if not isinstance(module, ModuleType):
        raise PluginError(f"an entry point of a plugin must name a module: {short_repr(module)}")
    spaces: list[Any] = []
    for _, hook, function in light.implemented:
        if hook == "superloop_add_hookspecs":
            spaces.extend(_results(function()))
    for space in spaces:
        marked = _marked(space, SPEC_MARK) if isinstance(space, ModuleType | type) else {}
        if not marked or not all(name.startswith(PREFIX) for name in marked):
            raise PluginError(
                "superloop_add_hookspecs must yield modules or classes with functions that are marked with "
                f"hookspec, and have names in {PREFIX}: {short_repr(space)}"
            )
    return attrs.evolve(light, hookspecs=tuple(spaces))


def load_contribution(
    light: LightModule,
    manager: pluggy.PluginManager,
    *,
    fails: Callable[[Origin, str, BaseException], None],
    all_are_known: bool = True,
) -> Contribution:
    """Register the hooks of a light module, and call the core's.

    Args:
        light: the module.
        manager: knows the specifications of hooks, and receives the implementations.
        fails: called when a hook that does not load the plugin fails later, with its name and the error.
        all_are_known: whether a hook that the manager does not know is misspelt; otherwise a plugin that is
            blocked or broken may specify it.

    Raises:
        PluginError: a hook is misspelt, unmarked, or yields the wrong thing; or there is no hook. Its own
            errors are raised as they are. Nothing is registered then.
    """
    _check_hooks(light, manager, all_are_known)
    # A module of its own: two distributions may name one module, and neither may hide the other.
    hooks = ModuleType(light.module.__name__)
    for attribute, hook, function in light.implemented:
        guarded = (
            function if hook in LOADING_HOOKS else _guarded(function, partial(fails, light.origin, hook))
        )
        setattr(hooks, attribute, guarded)
    name = f"{light.origin.id} ({light.module.__name__})"
    manager.register(hooks, name=name)
    try:
        implemented = tuple(
            (caller.name, implementation)
            for caller in manager.get_hookcallers(hooks) or ()
            for implementation in caller.get_hookimpls()
            if implementation.plugin is hooks
        )
        return Contribution(
            origin=light.origin,
            module=light.module.__name__,
            seconds=light.seconds,
            specs=tuple(_called(implemented, "superloop_register", PluginSpec)),
            tables=tuple(_called(implemented, "superloop_config_tables", TableSpec)),
            hooks=implemented,
        )
    except BaseException:
        manager.unregister(hooks)
        raise


def _marked(space: Any, mark: str) -> dict[str, Any]:
    """Return the functions of a module or a class that pluggy's marker ``mark`` was applied to."""
    # Routines only: to ask a lazily imported module for an attribute would import it.
    return {
        name: value
        for owner in reversed(getattr(space, "__mro__", (space,)))
        for name, value in list(vars(owner).items())
        if isroutine(value) and hasattr(value, mark)
    }


def _check_hooks(light: LightModule, manager: pluggy.PluginManager, all_are_known: bool) -> None:
    """Reject a hook that nothing specifies, a wrapper, one that is not marked, and a module without hooks."""
    specified = [name for name, caller in vars(manager.hook).items() if _is_specified(caller)]
    marked = {attribute: (hook, function) for attribute, hook, function in light.implemented}
    for attribute, (hook, function) in marked.items():
        options = getattr(function, IMPL_MARK)
        if hook not in specified and all_are_known and not options["optionalhook"]:
            raise PluginError(f"there is no hook {hook!r}{did_you_mean(hook, specified)}")
        if options["wrapper"] or options["hookwrapper"]:
            raise PluginError(f"{attribute!r} may not wrap other plugins' hooks; write @hookimpl alone")
    for name, value in list(vars(light.module).items()):
        if name in marked or (isroutine(value) and hasattr(value, SPEC_MARK)):
            continue
        if name in specified:
            raise PluginError(f"{name!r} is not marked as a hook; write @hookimpl above it")
        if isfunction(value) and name.startswith(PREFIX):
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, specified)}")
    if not marked:
        raise PluginError(f"it has none of the hooks {', '.join(CORE_HOOKS)}")


def _is_specified(caller: Any) -> bool:
    return isinstance(caller, pluggy.HookCaller) and caller.has_spec()


def _guarded(function: Callable[..., Any], fails: Callable[[BaseException], None]) -> Callable[..., Any]:
    """Return a hook that returns None, as pluggy's "no result", where the function fails."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            made = function(*arguments)
            return _results(made) if isinstance(made, Iterator) else made
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fails(error)
            return None

    return call


def _results(made: Any) -> list[Any]:
    """Return what a hook yields or returns as a list; more than ``MAX_RESULTS`` are cut to one more."""
    several = isinstance(made, Iterable) and not isinstance(made, str | Mapping)
    return list(islice(made, MAX_RESULTS + 1)) if several else [made]


def _called(implemented: Iterable[tuple[str, pluggy.HookImpl]], hook: str, expected: type) -> list[Any]:
    """Call a module's implementations of a hook, and check what they yield."""
    results: list[Any] = []
    for name, implementation in implemented:
        if name == hook:
            results.extend(_results(implementation.function()))
    if len(results) > MAX_RESULTS:
        raise PluginError(f"{hook} may yield {MAX_RESULTS:,} objects at most")
    for result in results:
        if not isinstance(result, expected):
            raise PluginError(f"{hook} must yield {expected.__name__} objects: {short_repr(result)}")
        if isinstance(result, PluginSpec) and getattr(result, "kind", None) not in KINDS:
            raise PluginError(f"{hook} must yield specs of a kind ({', '.join(KINDS)}): {short_repr(result)}")
    return results
