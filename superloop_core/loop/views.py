"""What the traces of a loop are, for pictures: collected from its parts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from superloop_core.builder.protocol import Builder
from superloop_core.names import CONTROL, OUTPUTS, READ, cell_path, join
from superloop_core.traces import TraceView

VECTOR = TraceView("vector", "number")  # of every read vector, control and output


def views_of(cells: Sequence[Builder], systems: Mapping[str, Builder]) -> dict[str, TraceView]:
    """Return the view of each trace of which something is said, by path."""
    core = {join(id, name): VECTOR for id in systems for name in (READ, CONTROL)}
    return core | {OUTPUTS: VECTOR} | dict(_collected("trace_views", cells, systems))


def labels_of(cells: Sequence[Builder], systems: Mapping[str, Builder]) -> dict[str, tuple[str, ...]]:
    """Return the labels of the last axis of each trace that has some, by path."""
    return dict(_collected("slot_names", cells, systems))


def _collected(
    attribute: str, cells: Sequence[Builder], systems: Mapping[str, Builder]
) -> Iterator[tuple[str, Any]]:
    paths = {cell_path(index): cell for index, cell in enumerate(cells)} | dict(systems)
    for path, part in paths.items():
        for name, value in getattr(part, attribute, {}).items():
            yield join(path, name), value
