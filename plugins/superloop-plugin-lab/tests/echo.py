"""A task whose sequences are of many lengths: say at each timestep what was given at the one before."""

import attrs
import numpy as np
from attrs.validators import ge

from superloop_core import Annotation, Batch, MetricSpec, TaskSpec, hookimpl

FACTORY = "superloop_lab_echo"


@attrs.frozen(kw_only=True)
class EchoConfig:
    """Say what was given before.

    Args:
        length: symbols of the longest sequence.
        min_length: symbols of the shortest.
    """

    length: int = attrs.field(default=6, validator=ge(1))
    min_length: int = attrs.field(default=1, validator=ge(1))


@attrs.frozen(kw_only=True)
class EchoAccuracyConfig:
    """No settings."""


@hookimpl
def superloop_register():
    yield TaskSpec(name="echo", config=EchoConfig, factory=f"{FACTORY}:Echo", summary="Echo")
    yield TaskSpec(name="old_echo", config=EchoConfig, factory=f"{FACTORY}:OldEcho", summary="Echo, of old")
    yield MetricSpec(
        name="echo_accuracy",
        config=EchoAccuracyConfig,
        factory=f"{FACTORY}:EchoAccuracy",
        summary="By symbol",
    )


class Echo:
    traces = ()
    drawn = ()  # the lengths of the last batch

    def __init__(self, settings):
        self.settings = settings

    def sample(self, rng, batch_size, longest=None):
        length = self.settings.length
        lengths = rng.integers(self.settings.min_length, (longest or length) + 1, batch_size).astype("int32")
        symbols = rng.integers(0, 3, (batch_size, length)).astype("int32")
        targets = np.concatenate([np.full((batch_size, 1), -1, "int32"), symbols[:, :-1]], axis=1)
        targets[np.arange(length) >= lengths[:, None]] = -1
        type(self).drawn = lengths
        return Batch(
            inputs={"inputs": np.eye(3, dtype="float32")[symbols], "lengths": lengths}, targets=targets
        )

    def loss(self, targets, results):
        from keras import ops

        chosen = ops.one_hot(ops.maximum(targets, 0), 3) * ops.log_softmax(results["outputs"])
        return -ops.mean(ops.where(targets >= 0, ops.sum(chosen, axis=-1), 0.0))

    def correct(self, targets, results):
        from keras import ops

        return ops.all((ops.argmax(results["outputs"], axis=-1) == targets) | (targets < 0), axis=1)

    def annotate(self, batch, row):
        return Annotation(title=f"{batch.inputs['lengths'][row]} symbols", system="")


class OldEcho(Echo):
    """Knows nothing of a longest length."""

    def sample(self, rng, batch_size):
        return super().sample(rng, batch_size)


class EchoAccuracy:
    traces = ()

    def __init__(self, settings):
        del settings

    def __call__(self, targets, results):
        from keras import ops

        asked = ops.cast(targets >= 0, "float32")
        right = ops.cast(ops.argmax(results["outputs"], axis=-1) == targets, "float32")
        return ops.sum(right * asked, axis=1) / ops.maximum(ops.sum(asked, axis=1), 1.0)
