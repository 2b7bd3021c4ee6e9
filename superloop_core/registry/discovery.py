"""Which installed distributions have plugins, read from their metadata; a damaged one stops nothing."""

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

import attrs

from superloop_core.errors import PluginError, reason
from superloop_core.registry.hookspecs import ENTRY_POINT_GROUP
from superloop_core.registry.records import Origin, metadata_folder, name_and_version


@attrs.frozen
class Discovery:
    """What the installed distributions say of plugins.

    Args:
        entry_points: of the group of plugins, of each distribution once: of the first on the path.
        damaged: distributions whose entry points cannot be read, with the errors.
    """

    entry_points: tuple[EntryPoint, ...] = ()
    damaged: tuple[tuple[Origin, PluginError], ...] = ()


def discover(installed: Iterable[Distribution] | None = None) -> Discovery:
    """Read the entry points of plugins of all installed distributions; no plugin is imported."""
    found: dict[str, list[EntryPoint]] = {}
    damaged: dict[str, tuple[Origin, PluginError]] = {}
    # Those with a readable name come first: remains of an interrupted installation must not hide the other.
    for distribution in sorted(_with_plugins(installed), key=lambda one: name_and_version(one)[0] is None):
        origin = Origin.of_distribution(distribution)
        try:
            group = [entry for entry in distribution.entry_points if entry.group == ENTRY_POINT_GROUP]
            found.setdefault(origin.distribution, group)
        except Exception as error:
            what = f"its entry_points.txt in {metadata_folder(distribution)} cannot be read: {reason(error)}"
            damaged.setdefault(origin.distribution, (origin, PluginError(f"{what}; install it again")))
    return Discovery(
        tuple(entry for group in found.values() for entry in group),
        tuple(one for name, one in damaged.items() if name not in found),
    )


def versions_installed(installed: Iterable[Distribution], names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each distribution, with plugins or in ``names``, that has several versions."""
    places: dict[str, dict[str, str]] = {}
    wanted = set(names)
    for distribution in installed:
        name, version = name_and_version(distribution)
        if name in wanted or (name is not None and _has_plugins(distribution)):
            places.setdefault(name, {}).setdefault(version, str(metadata_folder(distribution)))
    for name, by_version in places.items():
        if len(by_version) > 1:
            listed = " and ".join(f"{version} ({place})" for version, place in by_version.items())
            yield (
                f"{name} is installed in {len(by_version)} versions: {listed}; the first is used: "
                f"run pip uninstall {name} until none is left, and install one"
            )


def _with_plugins(installed: Iterable[Distribution] | None) -> Iterator[Distribution]:
    for distribution in distributions() if installed is None else installed:
        if _has_plugins(distribution):
            yield distribution


def _has_plugins(distribution: Distribution) -> bool:
    """Whether the entry points name the group of plugins, even where they cannot be parsed."""
    try:
        text = distribution.read_text("entry_points.txt")
    except Exception:  # not in UTF-8
        try:
            text = Path(metadata_folder(distribution), "entry_points.txt").read_text("latin-1")
        except (OSError, ValueError):
            return False
    return ENTRY_POINT_GROUP in (text or "")
