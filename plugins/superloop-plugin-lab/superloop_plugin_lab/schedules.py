"""The learning rate of each step: Keras's schedules, after a warm-up."""

from typing import Any

from keras import ops
from keras.optimizers.schedules import (
    CosineDecay,
    ExponentialDecay,
    LearningRateSchedule,
    PolynomialDecay,
)

from superloop_plugin_lab.settings import TrainConfig


def learning_rate(settings: TrainConfig) -> Any:
    """Return the learning rate: a float, or a schedule, which is called with the number of updates so far."""
    rate, final, warmup = settings.learning_rate, settings.final_learning_rate, settings.warmup_steps
    steps = max(1, settings.steps - warmup)
    if settings.schedule == "cosine":
        schedule = CosineDecay(rate, steps, alpha=final / rate)
    elif settings.schedule == "linear":
        schedule = PolynomialDecay(rate, steps, end_learning_rate=final)
    elif settings.schedule == "exponential":
        schedule = ExponentialDecay(rate, steps, decay_rate=final / rate)
    elif settings.schedule == "inverse_sqrt":
        schedule = InverseSqrt(rate, max(1, warmup))
    elif warmup:
        schedule = ExponentialDecay(rate, steps, decay_rate=1.0)
    else:
        return rate
    return WarmUp(schedule, warmup) if warmup else schedule


class WarmUp(LearningRateSchedule):  # type: ignore[misc]
    """Grow linearly from 0 to the learning rate in the first steps, then follow a schedule.

    Args:
        schedule: begins after the warm-up.
        steps: of the warm-up; the last one has the full learning rate.
    """

    def __init__(self, schedule: LearningRateSchedule, steps: int):
        super().__init__()
        self._schedule, self._steps = schedule, steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate, a scalar of float32."""
        step = ops.cast(step, "float32")
        share = ops.minimum((step + 1) / self._steps, 1)
        return share * self._schedule(ops.maximum(step - self._steps, 0))


class InverseSqrt(LearningRateSchedule):  # type: ignore[misc]
    """Fall with the square root of the step.

    Reference: Vaswani et al., Attention Is All You Need, 2017, https://arxiv.org/abs/1706.03762

    Args:
        rate: at step 0, which is the ``begin``-th one of training.
        begin: a number of steps.
    """

    def __init__(self, rate: float, begin: int):
        super().__init__()
        self._rate, self._begin = rate, begin

    def __call__(self, step: Any) -> Any:
        """Return the learning rate, a scalar of float32."""
        return self._rate * ops.sqrt(self._begin / (self._begin + ops.cast(step, "float32")))
