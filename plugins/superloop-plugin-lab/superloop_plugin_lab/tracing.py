"""Every trace of a model on a batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.task import Batch
from superloop_plugin_lab.compatibility import as_float32
from superloop_plugin_lab.network import Network, prefixed


class Tracer:
    """Computes every trace of a network with copies of its loops, which are compiled once for each shape.

    Args:
        network: its weights at each call are used.
    """

    def __init__(self, network: Network):
        self._network = network
        self._loops = [_Copy(loop) for loop in network.loops]

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return the outputs and every trace of a batch, each ``(batch, timesteps, ...)``.

        Traces of further loops have a prefix, ``loops.1.``. A loop in two directions has those of the forward
        one.
        """
        traces: dict[str, np.ndarray] = {}
        feeds = self._network.inputs_of_loops(batch)
        for index, (loop, inputs) in enumerate(zip(self._loops, feeds, strict=True)):
            traces |= {prefixed(index, name): trace for name, trace in loop.traces(inputs).items()}
        if self._network.feeds is not None:
            outputs = self._network.model.predict_on_batch(dict(batch.inputs))["outputs"]
            traces["outputs"] = np.asarray(outputs)
        return traces


class _Copy:
    """A copy of a loop, which records every trace."""

    def __init__(self, layer: Superloop):
        self._layer = layer
        self._copy = Superloop.from_config(layer.get_config() | {"traces": "all", "name": None})
        self._copy.build(None)
        self._run = tf.function(
            lambda inputs: as_float32(self._copy(inputs, training=False)), autograph=False
        )

    def traces(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        self._copy.set_weights(self._layer.get_weights())
        results = self._run({name: tf.constant(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in results.items()}


def compute_traces(network: Network, batch: Batch) -> dict[str, np.ndarray]:
    """Return the outputs and every trace of a batch: see :class:`Tracer`."""
    return Tracer(network)(batch)
