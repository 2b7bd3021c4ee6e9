"""The base class of tasks with a data tape."""

from abc import abstractmethod

import attrs
import numpy as np

from superloop_core.task import Annotation, Batch
from superloop_plugin_tasks.sequences import SequenceTask


class TapeTask(SequenceTask):
    """A task with a tape, the source ``<system>_data`` ``(batch, length, width)``."""

    @property
    def source(self) -> str:
        """The name of the source."""
        return f"{self.settings.system}_data"

    @abstractmethod
    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """Return a label for each slot of a tape ``(length, width)``; empty for an empty slot."""

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Label the tape."""
        labels = self.labels(batch.inputs[self.source][row])
        return attrs.evolve(super().annotate(batch, row), system=self.settings.system, slots=labels)
