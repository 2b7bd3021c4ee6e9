"""Tracking, the callback that gives a tracker each point of ``metrics.jsonl`` once, also after a resume."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from superloop_plugin_lab import Callback

from superloop_core.config import Config
from superloop_core.runs import Manifest
from superloop_plugin_trackers.stores import Point, Store, TrackedRun

FACTS = ("steps", "seconds", "best_step")  # of the final figures; the others are ``test_NAME``


class Tracking(Callback):
    """What a tracker records of a run.

    A tracker may hold points of steps that a resumed run takes again. They stay, as the run repeats them. If
    a value differs, as with another learning rate, the tracker's run is replaced by a new one.

    Args:
        store: the tracker's.
        config: the run's.
        folder: the run folder.
    """

    def __init__(self, store: Store, config: Config, folder: Path):
        self._store = store
        self._config = config
        self._folder = folder
        self._points: dict[Point, float] = {}  # of metrics.jsonl so far
        self._ahead: dict[Point, float] = {}  # of the tracker, of steps to take again

    def begin(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Open the tracker's run of this run folder, or a new one, and record what it lacks."""
        recorded = self._store.open(_tracked_run(self._config, self._folder))
        there = {point: value for point, value in recorded.items() if not _is_final(point[0])}
        for line in lines:
            if "step" in line:
                self._points |= _points(line["step"], line)
        if any(self._points.get(point, value) != value for point, value in there.items()):
            self._replace()
            return
        self._ahead = {point: value for point, value in there.items() if point not in self._points}
        self._store.log({point: value for point, value in self._points.items() if point not in there})

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Record the figures of a step."""
        new = _points(step, figures)
        self._points |= new
        if any(self._ahead.get(point, value) != value for point, value in new.items()):
            self._replace()
            return
        self._store.log({point: value for point, value in new.items() if point not in self._ahead})

    def evaluation(self, step: int, figures: Mapping[str, float]) -> None:
        """Record the figures of test sequences at a step."""
        self.step(step, figures)

    def end(self, figures: Mapping[str, Any] | None) -> None:
        """Record the final figures as the summary, by the names of this version, and close the run."""
        if figures is None:
            self._store.close(None)
            return
        final = {name if _is_final(name) else f"test_{name}": value for name, value in figures.items()}
        self._store.close(_points(figures["steps"], final))

    def _replace(self) -> None:
        self._store.replace()
        self._store.log(self._points)
        self._ahead = {}


def _points(step: int, figures: Mapping[str, Any]) -> dict[Point, float]:
    """Return the figures that are finite numbers; others are the reason of a failure, or null."""
    return {
        (name, step): value
        for name, value in figures.items()
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }


def _is_final(name: str) -> bool:
    return name.startswith("test_") or name in FACTS


def _tracked_run(config: Config, folder: Path) -> TrackedRun:
    manifest = Manifest.read(folder)
    assert manifest is not None  # training wrote it
    tables = {name: table for name, table in config.to_dict().items() if name != "track"}
    path = folder.absolute()
    return TrackedRun(id=manifest.run, folder=path, parameters=dict(_flat(tables)))


def _flat(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    """``{"loop": {"cells": [{"units": 4}]}}`` -> ``("loop.cells.0.units", 4)``, the keys of ``--set``."""
    if not isinstance(value, dict | list | tuple) or not value:
        yield key, value
        return
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, entry in entries:
        yield from _flat(entry, f"{key}.{name}" if key else str(name))
