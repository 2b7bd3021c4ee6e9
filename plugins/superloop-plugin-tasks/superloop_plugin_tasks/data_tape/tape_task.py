"""What tasks with a data tape share."""

from abc import abstractmethod

import attrs
import numpy as np

from superloop_core.task import Annotation, Batch
from superloop_plugin_tasks.sequences import SequenceTask


class TapeTask(SequenceTask):
    """A task whose batches hold a tape, as the source ``<system>_data`` ``(batch, length, width)``."""

    @property
    def source(self) -> str:
        """The name of the source."""
        return f"{self.settings.system}_data"

    @abstractmethod
    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """Tell what stands on a tape ``(length, width)``, a label for each slot; empty where nothing does."""

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Label the tape."""
        labels = self.labels(batch.inputs[self.source][row])
        return attrs.evolve(super().annotate(batch, row), system=self.settings.system, slots=labels)
