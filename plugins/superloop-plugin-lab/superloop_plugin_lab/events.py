"""TensorBoard's events: the figures of ``metrics.jsonl``, each once, also after a resume."""

import math
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.scalar.summary import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from superloop_core import RunFolderError
from superloop_core.runs import TEMPORARY, NamedErrors, move_file, open_regular
from superloop_plugin_lab.callback import Callback

MARK = "tfevents"  # TensorBoard reads the files with it in their names


class Events(Callback):
    """The events in a folder, as one file.

    Args:
        folder: the ``tensorboard/`` of a run folder.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: Any = None

    def begin(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Replace the events by those of the lines of ``metrics.jsonl``; further ones follow them.

        The times of events that were there are kept.

        Raises:
            RunFolderError: the folder is a symbolic link, or cannot be read or written.
        """
        if self._folder.is_symlink():
            raise RunFolderError(
                f"{self._folder}: must be a folder, and is a symbolic link, which is not followed; "
                "move the folder itself there"
            )
        with NamedErrors(self._folder, "cannot be written"):
            self._folder.mkdir(exist_ok=True)
            names = [name for name in os.listdir(self._folder) if MARK in name or name.startswith(TEMPORARY)]
            new = self._folder / f"{TEMPORARY}{os.getpid()}"
            new.unlink(missing_ok=True)  # of a killed process of the same number, as in containers
            paths = [path for name in names if (path := self._folder / name) != new]
            old = sorted(path for path in paths if path.is_symlink() or not path.is_dir())
            times = _times(path for path in old if path.is_file() and not path.is_symlink())
            descriptor = open_regular(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            self._writer = RecordWriter(os.fdopen(descriptor, "wb"))
            now = time.time()
            self._write(Event(wall_time=now, file_version="brain.Event:2"))
            for line in lines:
                if "step" in line:
                    self._add(line["step"], {name: line[name] for name in line if name != "step"}, times, now)
            self._writer.flush()
            for path in old:
                path.unlink(missing_ok=True)
            host = socket.gethostname().replace(os.sep, "-")
            move_file(new, self._folder / f"events.out.{MARK}.{int(now)}.{host}.{os.getpid()}")

    def step(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write the figures of a step.

        Raises:
            RunFolderError: they cannot be written.
        """
        with NamedErrors(self._folder, "cannot be written"):
            self._add(step, figures, {}, time.time())
            self._writer.flush()

    def evaluation(self, step: int, figures: Mapping[str, Any]) -> None:
        """Write the figures of test sequences at a step.

        Raises:
            RunFolderError: they cannot be written.
        """
        self.step(step, figures)

    def end(self, figures: Mapping[str, Any] | None) -> None:
        """Close the file; TensorBoard shows no final figures, as they belong to no step."""
        if self._writer is not None:
            with NamedErrors(self._folder, "cannot be written"):
                self._writer.close()

    def _add(
        self, step: int, figures: Mapping[str, Any], times: Mapping[tuple[str, int], float], now: float
    ) -> None:
        for name, value in figures.items():
            if isinstance(value, int | float) and math.isfinite(
                value
            ):  # not the reason of a failure, nor null
                at = times.get((name, step), now)
                self._write(Event(step=step, wall_time=at, summary=scalar_pb(name, value)))

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())


def _times(paths: Iterable[Path]) -> dict[tuple[str, int], float]:
    """Return the times of events by tag and step; those of a damaged file up to the damage."""
    times: dict[tuple[str, int], float] = {}
    for path in paths:
        try:
            for event in EventFileLoader(os.fspath(path)).Load():
                for value in event.summary.value:
                    times.setdefault((value.tag, event.step), event.wall_time)
        except Exception:  # of any kind; the times get lost, not the figures
            continue
    return times
