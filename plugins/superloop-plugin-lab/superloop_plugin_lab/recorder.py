"""Figures of a run while it trains: a line of ``metrics.jsonl``, and TensorBoard's events."""

from types import TracebackType

from superloop_plugin_lab.events import Events
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.run_folder import RunFolder


class Recorder:
    """Writes figures by name to a run folder; use it in a ``with`` block.

    Args:
        experiment: with a curriculum, each line holds the ``longest`` length of its step too.
        folder: receives the figures.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder):
        self._experiment = experiment
        self._folder = folder
        self._events = Events(folder.tensorboard)

    def __enter__(self) -> "Recorder":
        self._events.open(self._folder.read_metrics())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()

    def record(self, step: int, **figures: float) -> None:
        """Write the figures of a step."""
        if (longest := self._experiment.longest(step)) is not None:
            figures["longest"] = longest
        self._folder.add_metrics(step=step, **figures)
        self._events.add(step, figures)
