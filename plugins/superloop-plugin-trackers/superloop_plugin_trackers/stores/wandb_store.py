"""W&B, offline: one file of the whole run in ``wandb/`` of the run folder, for ``wandb sync``."""

import importlib
import shutil
from collections.abc import Mapping
from typing import Any

from superloop_plugin_trackers.settings import WandbConfig
from superloop_plugin_trackers.stores import Point, TrackedRun, rows


class WandbStore:
    """W&B's files of a run.

    Args:
        settings: of the run.
    """

    def __init__(self, settings: WandbConfig):
        self._settings = settings
        self._wandb: Any = None
        self._opened: Any = None
        self._run: TrackedRun

    def open(self, run: TrackedRun) -> Mapping[Point, float]:
        """Begin the run's file; that of before a resume is deleted, as W&B cannot go on in it.

        Raises:
            RuntimeError: ``wandb/`` of the run folder is a symbolic link.
        """
        self._run = run
        self._wandb = importlib.import_module("wandb")
        folder = run.folder / "wandb"
        if folder.is_symlink():
            raise RuntimeError(f"{folder}: must be a folder, and is a symbolic link, which is not followed")
        for old in folder.glob(f"offline-run-*-{run.id}"):
            shutil.rmtree(old)
        self._opened = self._wandb.init(
            dir=str(run.folder),
            mode="offline",
            id=run.id,
            project=self._settings.project,
            entity=self._settings.entity or None,
            name=self._settings.run or run.folder.name,
            tags=list(self._settings.tags),
            group=self._settings.group or None,
            config={**run.parameters, **run.tags},
            settings=self._wandb.Settings(console="off", silent=True, x_disable_stats=True),
        )
        return {}

    def replace(self) -> None:
        """Begin the run's file again."""
        self._opened.finish()
        self.open(self._run)

    def log(self, points: Mapping[Point, float]) -> None:
        """Record points; those of a step become a row with its last ones."""
        for step, figures in rows(points):
            self._opened.log(figures, step=step)

    def close(self, final: Mapping[Point, float] | None) -> None:
        """Write the final figures into the run's summary, and end the file."""
        if final is not None:
            self._opened.summary.update({name: value for (name, _), value in final.items()})
        self._opened.finish(exit_code=1 if final is None else 0)
