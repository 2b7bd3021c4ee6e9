"""Which traces are recorded."""

import fnmatch
from collections.abc import Collection, Mapping
from typing import Any

from superloop_core.builder.protocol import Builder, State, Tensor
from superloop_core.errors import SuperloopError, TraceError, did_you_mean, shown
from superloop_core.loop.contract import broken
from superloop_core.loop.paths import paths_of

ALL = "all"


def select_traces(traces: Collection[str] | str, named: Collection[str]) -> list[str]:
    """Return the names that some names and patterns stand for, or raise :class:`TraceError`."""
    if traces == ALL:
        return sorted(named)
    chosen: dict[str, None] = {}
    for pattern in traces:
        found = fnmatch.filter(sorted(named), pattern)
        if not found:
            raise TraceError(f"no trace {pattern!r}{did_you_mean(pattern, named)}")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def checked_traces(traces: Any) -> tuple[str, ...] | str:
    """Return the names and patterns as a tuple, or ``"all"``."""
    if isinstance(traces, str):
        return traces if traces == ALL else (traces,)
    if not (isinstance(traces, list | tuple | set | frozenset) and all(isinstance(t, str) for t in traces)):
        raise SuperloopError(f"traces must be names, patterns or {ALL!r}: {shown(traces)}")
    return tuple(traces)


def traces_of(
    path: str,
    builder: Builder,
    state: State,
    seen: Mapping[str, Tensor],
    named: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Name all that is worth seeing of one part's step; no two by one name."""
    traces = paths_of(path, state, builder)
    for name, tensor in (*seen.items(), *named.items()):
        if f"{path}.{name}" in traces:
            if hasattr(builder, "state_names"):
                continue  # a loop within the loop, which names its states itself
            rule = f"must give its traces names of their own, but {name!r} is"
            raise broken(path, builder, rule, "the state's, or the core's (read, control)")
        traces[f"{path}.{name}"] = tensor
    return traces
