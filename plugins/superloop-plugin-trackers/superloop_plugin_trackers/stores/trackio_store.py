"""trackio: a run of a local store, which its name finds."""

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from superloop_plugin_trackers.settings import TrackioConfig
from superloop_plugin_trackers.stores import Point, TrackedRun, rows

OWN = ("step", "timestamp")  # keys of trackio's rows


class TrackioStore:
    """A local store of trackio.

    Args:
        settings: where it is.
    """

    def __init__(self, settings: TrackioConfig):
        self._settings = settings
        self._trackio: Any = None
        self._opened: Any = None
        self._final: set[Point] = set()
        self._run: TrackedRun

    def open(self, run: TrackedRun) -> Mapping[Point, float]:
        """Open the run of this name, or a new one, and return its points.

        Raises:
            RuntimeError: this process uses trackio with another folder.
        """
        self._run = run
        folder = self._settings.folder
        if folder:
            os.environ["TRACKIO_DIR"] = folder  # read when trackio is imported
        with redirect_stdout(sys.stderr):
            self._trackio = importlib.import_module("trackio")
        if folder and Path(folder) != self._trackio.TRACKIO_DIR:
            raise RuntimeError(
                f"track.trackio: 'folder' must be {str(self._trackio.TRACKIO_DIR)!r}, which this process "
                f"uses already: {folder!r}; start another process"
            )
        self._init()
        storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
        rows = storage.get_logs(self._settings.project, self._opened.name, run_id=self._opened.id)
        points = {(name, row["step"]): row[name] for row in rows for name in row if name not in OWN}
        self._final = set(points)
        return points

    def replace(self) -> None:
        """Delete the run, and open a new one of the same name."""
        self._finish()
        for run in self._trackio.Api().runs(self._settings.project):
            if run.id == self._opened.id:
                run.delete()
        self._final = set()
        self._init()

    def log(self, points: Mapping[Point, float]) -> None:
        """Record points, a row for each step."""
        for step, figures in rows(points):
            self._opened.log(figures, step=step)

    def close(self, final: Mapping[Point, float] | None) -> None:
        """Record the final figures at the last step, and wait until all is stored."""
        self.log({point: value for point, value in (final or {}).items() if point not in self._final})
        self._finish()

    def _init(self) -> None:
        with redirect_stdout(sys.stderr):
            self._opened = self._trackio.init(
                project=self._settings.project,
                name=f"{self._settings.run or self._run.folder.name}-{self._run.id[:8]}",
                group=self._settings.group or None,
                config={**self._run.parameters, **self._run.tags},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def _finish(self) -> None:
        with redirect_stdout(sys.stderr):
            self._trackio.finish()
