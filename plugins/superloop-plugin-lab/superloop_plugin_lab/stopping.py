"""The early stop of a run, once a figure has not improved for some measurements."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.figures import in_new_names, sign_of_watched


class EarlyStopping:
    """Counts the measurements since a figure improved; without a table ``[early_stopping]`` no run stops.

    Args:
        experiment: its config names the figure.

    Attributes:
        waited: measurements since the figure improved.

    Raises:
        ConfigError: there is no such figure, or it is not known which way is better.
    """

    def __init__(self, experiment: Experiment):
        self.waited = 0
        self._best = -math.inf
        self._watched = ""
        self._settings = experiment.config.tables.get("early_stopping")
        if self._settings is not None:
            self._watched = f"validation_{self._settings.metric}"
            self._sign = sign_of_watched(self._settings, experiment.metrics)

    @property
    def is_over(self) -> bool:
        """Whether the run ends here."""
        return self._settings is not None and self.waited >= self._settings.patience

    @property
    def reason(self) -> str:
        """Why the run ends."""
        return f"{self._watched} has not improved in {self.waited} measurements"

    def read(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Take over the measurements in the lines of a run's metrics."""
        for line in in_new_names(lines):
            if "validation_loss" in line:
                self.update(line)

    def update(self, line: Mapping[str, Any]) -> None:
        """Take over a measurement, ``validation_NAME``; a figure that is not finite is no improvement."""
        if self._settings is None:
            return
        value = line.get(self._watched)
        merit = -math.inf if value is None or not math.isfinite(value) else self._sign * value
        if merit > self._best + self._settings.min_delta:
            self._best, self.waited = merit, 0
        else:
            self.waited += 1
