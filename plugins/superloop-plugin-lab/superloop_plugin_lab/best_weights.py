"""The best weights of a run so far."""

import math
from collections.abc import Sequence

import attrs
import keras
import numpy as np

from superloop_core import WeightsError
from superloop_plugin_lab.checkpoint import Checkpoint, variables_of
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.figures import sign_of_best
from superloop_plugin_lab.measurement import Measurement


@attrs.define(eq=False)
class BestWeights:
    """The weights with the best value of a figure, and among equals with the lowest loss.

    Args:
        figure: its name, by default ``accuracy``.
        sign: 1.0 if it is better the higher it is, else -1.0.
        step: the training step at which the weights were measured.
        merit: the figure times its sign, and the loss negated: the larger the better.
        variables: the model's variables at that step.
    """

    figure: str = "accuracy"
    sign: float = 1.0
    step: int = 0
    merit: tuple[float, float] = (-math.inf, -math.inf)
    variables: Sequence[np.ndarray] = ()

    @classmethod
    def of(cls, experiment: Experiment) -> "BestWeights":
        """Return those of an experiment before its first measurement.

        Raises:
            ConfigError: ``train.best`` names no figure, or it is not known which way is better.
        """
        return cls(experiment.settings.best, sign_of_best(experiment.settings, experiment.metrics))

    def load(self, checkpoint: Checkpoint) -> None:
        """Take over the best weights that a checkpoint holds.

        Raises:
            WeightsError: another figure decided them.
        """
        if (self.figure, self.sign) != (checkpoint.best_figure, checkpoint.best_sign):
            raise WeightsError(
                f"the checkpoint holds the weights of the best {checkpoint.best_figure}, so train.best and "
                f"train.best_mode cannot change: {self.figure!r}; undo --set"
            )
        self.step, self.merit, self.variables = checkpoint.best_step, checkpoint.merit, checkpoint.best

    def update(self, step: int, measured: Measurement, model: keras.Model) -> bool:
        """Take over a model's weights if they are better; return whether they are.

        A figure that is not finite is worse than any other.
        """
        figure = self.sign * measured.figures[self.figure]
        merit = (figure if math.isfinite(figure) else -math.inf, -measured.loss)
        if merit <= self.merit:
            return False
        self.step, self.merit, self.variables = step, merit, variables_of(model)
        return True
