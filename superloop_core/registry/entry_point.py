"""One entry point: its light module imported, its hooks called, and the results checked."""

import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from inspect import isfunction
from types import ModuleType
from typing import Any

import attrs
import pluggy

from superloop_core.errors import PluginError, did_you_mean
from superloop_core.registry import hookspecs
from superloop_core.registry.records import Origin
from superloop_core.registry.specs import PluginSpec, TableSpec

CORE = "superloop-core"
PREFIX = "superloop_"  # of every hook's name


@attrs.frozen(kw_only=True)
class Contribution:
    """What one entry point contributes.

    Args:
        origin: where it comes from.
        module: the name of its light module.
        seconds: the time to import that.
        specs: of cells, systems, tasks and metrics.
        tables: of config files.
    """

    origin: Origin
    module: str
    seconds: float
    specs: tuple[PluginSpec, ...]
    tables: tuple[TableSpec, ...]


def new_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows the hooks."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def check_requirement(entry_point: EntryPoint, core_version: str) -> None:
    """Check that a distribution is made for this version of the core, before it is imported.

    Raises:
        PluginError: its metadata requires another version.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in (entry_point.dist.requires if entry_point.dist else None) or ():
        if not canonicalize_name(text[: len(CORE)]).startswith(CORE):
            continue  # another's name: not worth parsing
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate()
        if canonicalize_name(requirement.name) != CORE or not applies:
            continue
        if not requirement.specifier.contains(core_version, prereleases=True):
            raise PluginError(
                f"it is made for {CORE} {requirement.specifier}, and {core_version} is installed; "
                "install a version of either that fits the other"
            )


def load_contribution(manager: pluggy.PluginManager, origin: Origin, load: Callable[[], Any]) -> Contribution:
    """Import a light module, register it with pluggy, and call its hooks.

    Args:
        manager: knows the module afterwards, unless an error is raised.
        origin: where the module comes from.
        load: imports it.

    Raises:
        PluginError: it is not a module, or is registered already; a hook is misspelt, unmarked, or yields
            the wrong thing; or there is no hook. Its own errors are raised as they are.
    """
    began = time.perf_counter()
    module = load()
    seconds = time.perf_counter() - began
    if not isinstance(module, ModuleType):
        raise PluginError(f"an entry point of a plugin must name a module: {module!r}")
    if manager.is_registered(module):
        other = manager.get_name(module)
        raise PluginError(
            f"the entry point {other!r} names the module {module.__name__!r} too; leave one out"
        )
    manager.register(module, name=origin.id)
    try:
        _check_hooks(module)
        return Contribution(
            origin=origin,
            module=module.__name__,
            seconds=seconds,
            specs=tuple(_called(manager.hook.superloop_register, origin.id, PluginSpec)),
            tables=tuple(_called(manager.hook.superloop_config_tables, origin.id, TableSpec)),
        )
    except (Exception, SystemExit):
        manager.unregister(name=origin.id)
        raise


def _check_hooks(module: Any) -> None:
    """Reject a hook that no hookspec names, one that is not marked, and a module without hooks."""
    known = [name for name in vars(hookspecs) if name.startswith(PREFIX)]
    for name, value in vars(module).items():
        marked = hasattr(value, f"{hookspecs.PROJECT}_impl")
        if name not in known and (marked or (isfunction(value) and name.startswith(PREFIX))):
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, known)}")
        if name in known and not marked:
            raise PluginError(f"{name!r} is not marked as a hook; write @hookimpl above it")
    if not any(name in known for name in vars(module)):
        raise PluginError(f"it has none of the hooks {', '.join(known)}")


def _called(hook: pluggy.HookCaller, plugin_name: str, expected: type) -> list[Any]:
    """Call one plugin's implementation of a hook, and check what it yields."""
    results: list[Any] = []
    for implementation in hook.get_hookimpls():
        if implementation.plugin_name == plugin_name:
            made: Any = implementation.function()
            several = isinstance(made, Iterable) and not isinstance(made, str | Mapping)
            results.extend(made if several else [made])
    for result in results:
        if not isinstance(result, expected):
            raise PluginError(f"{hook.name} must yield {expected.__name__} objects: {result!r}")
    return results
