"""Which of the installed plugins may be used."""

import os
from collections.abc import Iterable, Mapping

import attrs

from superloop_core.registry.specs import normalized

ALLOW, BLOCK, STRICT = "SUPERLOOP_PLUGINS", "SUPERLOOP_DISABLE_PLUGINS", "SUPERLOOP_STRICT_PLUGINS"


@attrs.frozen(kw_only=True)
class Selection:
    """Plugins allowed and blocked, each by the name of its distribution, its entry point or its own.

    Names are normalized, as a distribution's are: ``-`` and ``_`` are one, and so are capitals and not.

    Args:
        allowed: if not None, the only ones that may be used.
        blocked: excluded, even if allowed.
        strict: whether a broken plugin is an error.
    """

    allowed: frozenset[str] | None = None
    blocked: frozenset[str] = frozenset()
    strict: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Selection":
        """Read ``SUPERLOOP_PLUGINS`` (empty: none), ``SUPERLOOP_DISABLE_PLUGINS``, both lists with commas,
        and ``SUPERLOOP_STRICT_PLUGINS``.
        """
        allowed = environment.get(ALLOW)
        return cls(
            allowed=None if allowed is None else _names(allowed),
            blocked=_names(environment.get(BLOCK, "")),
            strict=environment.get(STRICT, "0") not in ("", "0"),
        )

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
