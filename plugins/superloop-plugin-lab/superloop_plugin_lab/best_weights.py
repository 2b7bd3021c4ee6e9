"""The best weights of a run so far."""

import math
from collections.abc import Sequence

import attrs
import keras
import numpy as np

from superloop_plugin_lab.checkpoint import Checkpoint, variables_of
from superloop_plugin_lab.measurement import Measurement


@attrs.define(eq=False)
class BestWeights:
    """The weights of the highest accuracy, and among equals of the lowest loss.

    Args:
        step: the training step at which they were measured.
        merit: their accuracy, and their loss negated: the larger the better.
        variables: the model's variables at that step.
    """

    step: int = 0
    merit: tuple[float, float] = (-math.inf, -math.inf)
    variables: Sequence[np.ndarray] = ()

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "BestWeights":
        """Return the best weights that a checkpoint holds."""
        return cls(checkpoint.best_step, checkpoint.merit, checkpoint.best)

    def update(self, step: int, measured: Measurement, model: keras.Model) -> bool:
        """Take over a model's weights if they are better; return whether they are."""
        merit = (measured.accuracy, -measured.loss)
        if merit <= self.merit:
            return False
        self.step, self.merit, self.variables = step, merit, variables_of(model)
        return True
