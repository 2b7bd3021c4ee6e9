"""Tasks and metrics that are wrong, each in one way."""

import attrs
import numpy as np
from keras import ops

from superloop_core import Annotation, Batch, Sizes


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


class Stored(Copy):
    """Ten stored examples; this one is right."""

    sizes = Sizes(inputs=2, outputs=2)
    shift = 1.0

    def batches(self, split, batch_size, *, seed=None):
        order = np.arange(10) if seed is None else np.random.default_rng(seed).permutation(10)
        for start in range(0, 10, batch_size):
            ids = order[start : start + batch_size]
            shown = np.stack([np.full((4, 2), id + self.shift, "float32") for id in ids])
            yield Batch(inputs={"inputs": shown}, targets=shown, ids=ids)

    def count(self, split):
        return 10

    def facts(self):
        return {"train": "10 examples"}

    def state(self):
        return {"shift": self.shift}

    def set_state(self, state):
        self.shift = state["shift"]


class DrawnAgain(Stored):
    def batches(self, split, batch_size, *, seed=None):
        for batch in super().batches(split, batch_size, seed=seed):
            yield attrs.evolve(batch, ids=np.zeros_like(batch.ids))


class Forgetful(Stored):
    def set_state(self, state):
        self.shift = 0.0


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
