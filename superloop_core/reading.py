"""What one entry point brings: its light module imported, its hooks called, and all of it checked."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Any

import attrs
import pluggy

from superloop_core import hookspecs
from superloop_core.errors import PluginError, did_you_mean
from superloop_core.plugin import PluginSpec, TableSpec

CORE = "superloop-core"


@attrs.frozen(kw_only=True)
class Brought:
    """What a light module's hooks gave."""

    specs: tuple[PluginSpec, ...]
    tables: tuple[TableSpec, ...]


def new_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows the hooks."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def check_requirement(entry_point: EntryPoint, core_version: str) -> None:
    """Refuse a distribution whose metadata asks for another version of the core, before it is imported.

    Raises:
        PluginError: it does.
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


def call_hooks(manager: pluggy.PluginManager, module: Any, name: str) -> Brought:
    """Register a light module by a name of its own, and call its hooks.

    Raises:
        PluginError: a hook is misspelt, unmarked, or yields what it should not; nothing stays registered.
    """
    manager.register(module, name=name)
    try:
        _check_hooks(module)
        return Brought(
            specs=tuple(_called(manager.hook.superloop_register, name, PluginSpec)),
            tables=tuple(_called(manager.hook.superloop_config_tables, name, TableSpec)),
        )
    except (Exception, SystemExit):
        manager.unregister(name=name)
        raise


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
