"""One entry point: its light module imported, its hooks called, and the results checked."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
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
MAX_RESULTS = 1_000  # of a hook: a generator may have no end
COMMAND_NAME = re.compile(r"\w[\w.:-]{0,49}")


@attrs.frozen(kw_only=True)
class Contribution:
    """What one entry point contributes.

    Args:
        origin: where it comes from.
        module: the name of its light module.
        seconds: the time to import that.
        specs: of cells, systems, tasks and metrics.
        tables: of config files.
        hooks: the module's, and no other's.
    """

    origin: Origin
    module: str
    seconds: float
    specs: tuple[PluginSpec, ...]
    tables: tuple[TableSpec, ...]
    hooks: Any

    def commands(self) -> "dict[str, click.Command]":
        """Return the commands that the module adds to the command line, by name.

        Raises:
            PluginError: one is not a command, or cannot be listed. The hook's own errors are raised as they
                are.
        """
        import click

        group = click.Group()  # of its own, so that no plugin can touch the commands of another
        self.hooks.superloop_add_commands(cli=group)
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


def load_contribution(origin: Origin, load: Callable[[], Any]) -> Contribution:
    """Import a light module and call its hooks.

    Args:
        origin: where the module comes from.
        load: imports it.

    Raises:
        PluginError: it is not a module; a hook is misspelt, unmarked, or yields the wrong thing; or there is
            no hook. Its own errors are raised as they are.
    """
    began = time.perf_counter()
    module = load()
    seconds = time.perf_counter() - began
    if not isinstance(module, ModuleType):
        raise PluginError(f"an entry point of a plugin must name a module: {short_repr(module)}")
    # A manager of its own: two distributions may name one module, and neither may hide the other.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=origin.id)
    _check_hooks(module)
    return Contribution(
        origin=origin,
        module=module.__name__,
        seconds=seconds,
        specs=tuple(_called(manager.hook.superloop_register, PluginSpec)),
        tables=tuple(_called(manager.hook.superloop_config_tables, TableSpec)),
        hooks=manager.hook,
    )


def _check_hooks(module: Any) -> None:
    """Reject a hook that no hookspec names, one that is not marked, and a module without hooks."""
    known = [name for name in vars(hookspecs) if name.startswith(PREFIX)]
    for name, value in list(vars(module).items()):
        # Routines only: to ask a lazily imported module for an attribute would import it.
        marked = isroutine(value) and hasattr(value, f"{hookspecs.PROJECT}_impl")
        if name not in known and (marked or (isfunction(value) and name.startswith(PREFIX))):
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, known)}")
        if name in known and not marked:
            raise PluginError(f"{name!r} is not marked as a hook; write @hookimpl above it")
    if not any(name in known for name in vars(module)):
        raise PluginError(f"it has none of the hooks {', '.join(known)}")


def _called(hook: pluggy.HookCaller, expected: type) -> list[Any]:
    """Call a module's implementation of a hook, and check what it yields."""
    results: list[Any] = []
    for implementation in hook.get_hookimpls():
        made: Any = implementation.function()
        several = isinstance(made, Iterable) and not isinstance(made, str | Mapping)
        results.extend(islice(made, MAX_RESULTS + 1) if several else [made])
    if len(results) > MAX_RESULTS:
        raise PluginError(f"{hook.name} may yield {MAX_RESULTS:,} objects at most")
    for result in results:
        if not isinstance(result, expected):
            raise PluginError(f"{hook.name} must yield {expected.__name__} objects: {short_repr(result)}")
        if isinstance(result, PluginSpec) and getattr(result, "kind", None) not in KINDS:
            raise PluginError(
                f"{hook.name} must yield specs of a kind ({', '.join(KINDS)}): {short_repr(result)}"
            )
    return results
