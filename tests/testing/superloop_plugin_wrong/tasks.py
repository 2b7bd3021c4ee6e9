"""Tasks and metrics that are wrong, each in one way."""

import numpy as np
from keras import ops

from superloop_core import Annotation, Batch


class Copy:
    """Say at each timestep what is shown; this one is right."""

    traces = ()

    def __init__(self, settings):
        del settings

    def sample(self, rng, batch_size):
        shown = rng.normal(size=(batch_size, 4, 2)).astype("float32")
        return Batch(inputs={"inputs": shown}, targets=shown)

    def loss(self, targets, results):
        return ops.mean(ops.square(results["outputs"] - targets))

    def correct(self, targets, results):
        return ops.all(ops.abs(results["outputs"] - targets) < 0.1, axis=(1, 2))

    def annotate(self, batch, row):
        return Annotation(title=f"row {row}", system="echo", slots=("a", "b", "c"))


class OneRow(Copy):
    def sample(self, rng, batch_size):
        return super().sample(rng, 1)


class Unseeded(Copy):
    def sample(self, rng, batch_size):
        return super().sample(np.random.default_rng(), batch_size)


class LossOfEachRow(Copy):
    def loss(self, targets, results):
        return ops.mean(ops.square(results["outputs"] - targets), axis=(1, 2))


class HowRight(Copy):
    def correct(self, targets, results):
        return ops.cast(super().correct(targets, results), "float32")


class NotDifferentiable(Copy):
    def loss(self, targets, results):
        return ops.mean(ops.round(results["outputs"] - targets))


class WrongSystem(Copy):
    def annotate(self, batch, row):
        return Annotation(title="a row", system="tape", slots=("a", "b"))


class Error:
    traces = ()

    def __init__(self, settings):
        del settings

    def __call__(self, targets, results):
        return ops.mean(ops.abs(results["outputs"] - targets), axis=(1, 2))


class OfBatch(Error):
    def __call__(self, targets, results):
        error = super().__call__(targets, results)
        return ops.mean(error) * ops.ones_like(error)


class Infinite(Error):
    def __call__(self, targets, results):
        return super().__call__(targets, results) / 0


class OfTimesteps(Error):
    def __call__(self, targets, results):
        return ops.mean(ops.abs(results["outputs"] - targets), axis=2)


def traceless(settings):
    del settings
    return lambda targets, results: ops.zeros(ops.shape(targets)[:1])
