"""Records of plugins: ready, blocked or broken, and where each comes from."""

import functools
import re
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import ClassVar, Literal

import attrs

from superloop_core.errors import cut
from superloop_core.registry.specs import PluginSpec, normalized

# PEP 508's names, in ASCII: safe to print as an argument of pip.
PIP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
UNKNOWN = "unknown"


@functools.lru_cache(maxsize=1_000)  # the metadata is parsed anew for each name otherwise
def name_and_version(distribution: Distribution) -> tuple[str | None, str]:
    """Return a distribution's normalized name and its version; the name is None where none can be read."""
    try:
        metadata = distribution.metadata
        name, version = ((metadata.get_all(key) or [None])[0] for key in ("Name", "Version"))
    except Exception:  # no METADATA, or not in UTF-8
        return None, UNKNOWN
    readable = isinstance(name, str) and PIP_NAME.fullmatch(name)
    return (normalized(name) if readable else None), (cut(str(version), 50) if version else UNKNOWN)


def metadata_folder(distribution: Distribution) -> Path:
    """Return the folder of a distribution's metadata, or the one that holds it where it is unknown."""
    path = getattr(distribution, "_path", None)
    return path if isinstance(path, Path) else Path(str(distribution.locate_file("")))


@attrs.frozen(kw_only=True)
class Origin:
    """Where a plugin comes from.

    Args:
        distribution: what pip installs, by its normalized name.
        version: the distribution's.
        entry_point: the entry point's name; one entry point may register several plugins.
    """

    distribution: str
    version: str = UNKNOWN
    entry_point: str = ""

    @property
    def id(self) -> str:
        """The name that pluggy knows the light module by."""
        return f"{self.distribution}:{self.entry_point}"

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "Origin":
        """Return the origin of an entry point; without a distribution, its package is used."""
        if entry_point.dist is None:
            package = re.match(r"\w*", entry_point.value)
            return cls(distribution=package[0] if package else UNKNOWN, entry_point=entry_point.name)
        return cls.of_distribution(entry_point.dist, entry_point.name)

    @classmethod
    def of_distribution(cls, distribution: Distribution, entry_point: str = "") -> "Origin":
        """Return the origin of a distribution; without a readable name, that of its metadata's folder."""
        name, version = name_and_version(distribution)
        if name is None:
            stem = metadata_folder(distribution).name.partition("-")[0]
            name = normalized(stem) if PIP_NAME.fullmatch(stem) else UNKNOWN
        return cls(distribution=name, version=version, entry_point=entry_point)


@attrs.frozen(kw_only=True)
class PluginRecord(Origin):
    """A spec that a distribution registered.

    Args:
        module: the light module that registers it, which other plugins may share.
        seconds: the time to import that.
    """

    state: ClassVar[str] = "ready"

    spec: PluginSpec
    module: str = ""
    seconds: float = attrs.field(default=0.0, eq=False)

    @property
    def name(self) -> str:
        """The spec's."""
        return self.spec.name

    @property
    def kind(self) -> str:
        """The spec's."""
        return self.spec.kind

    @property
    def summary(self) -> str:
        """The spec's."""
        return self.spec.summary

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which always resolves, and which saved files contain."""
        return f"{self.distribution}:{self.spec.name}"


@attrs.frozen(kw_only=True)
class UnusablePlugin(Origin):
    """A plugin, or a whole entry point, that cannot be used, and why.

    Args:
        state: ``blocked``, by the user's selection; or ``broken``, an entry point that could not be loaded.
        name: the plugin's; the entry point's where that is blocked or broken.
        names: all that the plugin answers to; empty for an entry point.
        kind: the plugin's; None for an entry point.
        reason: why, in a line.
        traceback: Python's, where it is broken.
        seconds: the time until it failed.
    """

    state: Literal["blocked", "broken"]
    name: str
    names: tuple[str, ...] = ()
    kind: str | None = None
    reason: str
    traceback: str = attrs.field(default="", repr=False)
    seconds: float = attrs.field(default=0.0, eq=False)

    @property
    def summary(self) -> str:
        """The reason."""
        return self.reason

    def answers_to(self, kind: str, name: str) -> bool:
        """Whether it is what is asked for; a whole entry point is, where its distribution is named."""
        distribution, _, short = name.rpartition(":")
        if distribution not in ("", self.distribution):
            return False
        if self.kind is None:
            return bool(distribution) or self.name == short
        return self.kind == kind and short in self.names
