"""Store: what a tracker does for a run. A module for each tracker."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import attrs

Point = tuple[str, int]  # the name of a figure, and a step


@attrs.frozen(kw_only=True)
class TrackedRun:
    """What trackers say of a run besides its figures.

    Args:
        id: of the manifest: that of a resumed run is the same.
        folder: the run folder's absolute path.
        parameters: the resolved config without ``[track]``, by dotted keys.
    """

    id: str
    folder: Path
    parameters: Mapping[str, Any]

    @property
    def tags(self) -> dict[str, str]:
        """The run's id and folder by names."""
        return {"superloop.run": self.id, "superloop.folder": str(self.folder)}


def rows(points: Mapping[Point, float]) -> Iterator[tuple[int, dict[str, float]]]:
    """Return the figures of each step; points are in the order of their steps."""
    for step, entries in groupby(points, key=lambda point: point[1]):
        yield step, {name: points[name, step] for name, _ in entries}


class Store(Protocol):
    """A tracker's store. Methods may raise anything; the run goes on without the tracker."""

    def open(self, run: TrackedRun) -> Mapping[Point, float]:
        """Open the tracker's run of ``run``, or a new one, and return the points that it holds."""
        ...

    def replace(self) -> None:
        """Open a new run in the place of the one that is open."""
        ...

    def log(self, points: Mapping[Point, float]) -> None:
        """Record points, in the order of their steps."""
        ...

    def close(self, final: Mapping[Point, float] | None) -> None:
        """Record the final figures and close the run.

        Args:
            final: each at the last step; None: an error ended the run.
        """
        ...
