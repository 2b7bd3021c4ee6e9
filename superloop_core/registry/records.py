"""Records of plugins: ready, blocked or broken, and where each comes from."""

from importlib.metadata import EntryPoint
from typing import ClassVar, Literal

import attrs

from superloop_core.registry.specs import PluginSpec, normalized


@attrs.frozen(kw_only=True)
class Origin:
    """Where a plugin comes from.

    Args:
        distribution: what pip installs, by its normalized name.
        version: the distribution's.
        entry_point: the entry point's name; one entry point may register several plugins.
    """

    distribution: str
    version: str = "unknown"
    entry_point: str = ""

    @property
    def id(self) -> str:
        """The name that pluggy knows the light module by."""
        return f"{self.distribution}:{self.entry_point}"

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "Origin":
        """Return the origin of an entry point; without a distribution, its package is used."""
        if entry_point.dist is None:
            return cls(distribution=entry_point.value.partition(".")[0], entry_point=entry_point.name)
        return cls(
            distribution=normalized(entry_point.dist.name),
            version=entry_point.dist.version,
            entry_point=entry_point.name,
        )


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
        kind: the plugin's; None for an entry point.
        reason: why, in a line.
        traceback: Python's, where it is broken.
        seconds: the time until it failed.
    """

    state: Literal["blocked", "broken"]
    name: str
    kind: str | None = None
    reason: str
    traceback: str = attrs.field(default="", repr=False)
    seconds: float = attrs.field(default=0.0, eq=False)

    @property
    def summary(self) -> str:
        """The reason."""
        return self.reason

    def answers_to(self, kind: str, name: str) -> bool:
        """Whether it may be the plugin that is asked for."""
        distribution, _, short = name.rpartition(":")
        return self.kind in (kind, None) and self.name == short and distribution in ("", self.distribution)
