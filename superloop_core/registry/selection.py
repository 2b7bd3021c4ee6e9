"""Which of the installed plugins may be used."""

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping

import attrs

from superloop_core.errors import PluginError, short_repr
from superloop_core.registry.specs import normalized

ALLOW, BLOCK, STRICT = "SUPERLOOP_PLUGINS", "SUPERLOOP_DISABLE_PLUGINS", "SUPERLOOP_STRICT_PLUGINS"
_BOOLEANS = {"": False, "0": False, "false": False, "no": False, "off": False} | dict.fromkeys(
    ("1", "true", "yes", "on"), True
)


@attrs.frozen(kw_only=True)
class Selection:
    """Plugins allowed and blocked, each by the name of its distribution, its entry point or its own.

    Names are normalized, as a distribution's are: ``-`` and ``_`` are one, and so are capitals and not.

    Args:
        allowed: if not None, the only ones that may be used.
        blocked: excluded, even if allowed.
        strict: whether a broken plugin, or a name that two have, is an error.
        typos: a sentence for each variable of the environment that is likely a misspelt one of ours.
    """

    allowed: frozenset[str] | None = None
    blocked: frozenset[str] = frozenset()
    strict: bool = False
    typos: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Selection":
        """Read ``SUPERLOOP_PLUGINS`` (empty: none), ``SUPERLOOP_DISABLE_PLUGINS``, both lists with commas,
        and ``SUPERLOOP_STRICT_PLUGINS`` (0 or 1).

        Raises:
            PluginError: the last has another value.
        """
        allowed, strict = environment.get(ALLOW), environment.get(STRICT, "")
        if strict.strip().lower() not in _BOOLEANS:
            raise PluginError(f"{STRICT} must be 0 or 1: {short_repr(strict)}")
        return cls(
            allowed=None if allowed is None else _names(allowed),
            blocked=_names(environment.get(BLOCK, "")),
            strict=_BOOLEANS[strict.strip().lower()],
            typos=tuple(_typos(environment)),
        )

    def unmatched(self, known: Collection[str]) -> list[tuple[str, str]]:
        """Return the names that are not among ``known``, normalized ones, each with its variable."""
        listed = [(f"{BLOCK}, or -p no:NAME,", name) for name in sorted(self.blocked)]
        listed += [(ALLOW, name) for name in sorted(self.allowed or ())]
        return [(variable, name) for variable, name in listed if name not in known]

    def reason_against(self, names: Iterable[str], *, all_of_it: bool = False) -> str | None:
        """Why something with these names may not be used; None where it may.

        Args:
            names: of its distribution, its entry point and, for a plugin, itself.
            all_of_it: whether it is a whole entry point, of which some plugin may be allowed by name.
        """
        known = {normalized(name): name for name in names}
        if found := known.keys() & self.blocked:
            return f"{known[sorted(found)[0]]!r} is blocked ({BLOCK}, or -p no:NAME)"
        if self.allowed is None or known.keys() & self.allowed or (all_of_it and self.allowed):
            return None
        return f"{ALLOW} does not allow it"


def _names(listed: str) -> frozenset[str]:
    return frozenset(normalized(name.strip()) for name in listed.split(",") if name.strip())


def _typos(environment: Mapping[str, str]) -> Iterator[str]:
    ours = (ALLOW, BLOCK, STRICT, "SUPERLOOP_STORED_PROGRAMS")
    for name in environment:
        if name not in ours and name.upper().startswith("SUPERLOOP_"):
            for near in difflib.get_close_matches(name.upper(), ours, n=1, cutoff=0.8):
                yield f"there is no variable {name} of the environment; did you mean {near}?"
