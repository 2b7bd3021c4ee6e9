"""Which traces are recorded."""

import fnmatch
from collections.abc import Collection
from typing import Any

from superloop_core.errors import SuperloopError, TraceError, did_you_mean, short_repr

ALL = "all"


def checked_traces(traces: Any) -> tuple[str, ...] | str:
    """Return names and patterns as a tuple, or ``"all"``.

    Raises:
        SuperloopError: they are something else.
    """
    if isinstance(traces, str):
        return traces if traces == ALL else (traces,)
    if not (isinstance(traces, list | tuple | set | frozenset) and all(isinstance(t, str) for t in traces)):
        raise SuperloopError(f"traces must be names, patterns or {ALL!r}: {short_repr(traces)}")
    return tuple(traces)


def select_traces(traces: Collection[str] | str, known: Collection[str]) -> list[str]:
    """Return the known names that some names and patterns match.

    Raises:
        TraceError: one matches nothing.
    """
    if traces == ALL:
        return sorted(known)
    chosen: dict[str, None] = {}
    for pattern in traces:
        found = fnmatch.filter(sorted(known), pattern)
        if not found:
            raise TraceError(f"no trace {pattern!r}{did_you_mean(pattern, known)}")
        chosen |= dict.fromkeys(found)
    return list(chosen)
