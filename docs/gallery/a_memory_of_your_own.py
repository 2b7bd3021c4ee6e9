"""
A memory of your own
====================

A memory is a class of two methods: its state at the start, and a step. This one holds the largest numbers
that it was given. A network with it learns to say the maximum of what it has seen.
"""

from typing import Any, NamedTuple

import attrs
import keras
import matplotlib.pyplot as plt
import numpy as np

import superloop_core


@attrs.frozen(kw_only=True)
class MaximumSettings(superloop_core.SystemSettings):
    """Maxima.

    Args:
        width: how many.
    """

    width: int = 4

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


class MaximumState(NamedTuple):
    largest: Any  # (batch, width)


@superloop_core.register(example={"width": 3})
class Maximum(superloop_core.System[MaximumSettings]):
    """A memory that holds the largest of each number of its controls.

    ::

        m' = max(m, control),  read = m'
    """

    def initial_state(self, sequence):
        shape = (sequence.batch_size, self.config.width)
        return MaximumState(keras.ops.full(shape, -1e9, dtype=self.variable_dtype))

    def step(self, control, state, constants):
        del constants
        largest = keras.ops.maximum(state.largest, control)
        return largest, MaximumState(largest), {}


# %%
# It is a plugin of this process from here on: a loop names it.
# ``superloop_core.testing.check_plugin("maximum")`` would hold it to the rules of all plugins.

keras.utils.set_random_seed(0)
loop = superloop_core.Superloop(
    inputs=1,
    outputs=1,
    cells=[{"use": "dense", "units": 16}],
    systems=[{"use": "maximum", "id": "memory", "feedback": False}],
    outputs_read_systems=True,
)
numbers = np.random.default_rng(0).normal(size=(6400, 10, 1)).astype("float32")
largest = np.maximum.accumulate(numbers, axis=1)
loop(numbers[:1])  # makes the weights
model = keras.Sequential([loop])
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(numbers, largest, batch_size=64, epochs=4, verbose=0)

# %%
# Sequences of five times the length, with what the memory holds.

longer = np.random.default_rng(1).normal(size=(1, 50, 1)).astype("float32")
traces = superloop_core.trace(model, longer)
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 5))
above.plot(longer[0, :, 0], "o", markersize=3, color="gray", label="input")
above.plot(np.maximum.accumulate(longer[0, :, 0]), color="black", linestyle=":", label="largest so far")
above.plot(traces.results[0, :, 0], label="answer")
above.legend()
below.plot(traces["memory.read"][0])
below.set_ylabel("memory.read")
below.set_xlabel("timestep")
plt.show()
