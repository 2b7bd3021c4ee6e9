"""Every trace of a model on a batch."""

import numpy as np
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.task import Batch
from superloop_plugin_lab.compatibility import as_float32


class Tracer:
    """Computes every trace of a layer with a copy of it, which is compiled once for each shape of a batch.

    Args:
        layer: its weights at each call are used.
    """

    def __init__(self, layer: Superloop):
        self._layer = layer
        self._copy = Superloop.from_config(layer.get_config() | {"traces": "all", "name": None})
        self._copy.build(None)
        self._run = tf.function(
            lambda inputs: as_float32(self._copy(inputs, training=False)), autograph=False
        )

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return every trace of a batch, each ``(batch, timesteps, ...)``."""
        self._copy.set_weights(self._layer.get_weights())
        results = self._run({name: tf.constant(array) for name, array in batch.inputs.items()})
        return {name: tensor.numpy() for name, tensor in results.items()}


def compute_traces(layer: Superloop, batch: Batch) -> dict[str, np.ndarray]:
    """Return every trace of a batch, each ``(batch, timesteps, ...)``, computed by a copy of the layer."""
    return Tracer(layer)(batch)
