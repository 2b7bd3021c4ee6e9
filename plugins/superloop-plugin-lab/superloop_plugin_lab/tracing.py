"""Every trace of a model on a batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.task import Batch
from superloop_plugin_lab.compatibility import as_float32
from superloop_plugin_lab.network import Network, prefixed


def compute_traces(network: Network, batch: Batch) -> dict[str, np.ndarray]:
    """Return the outputs and every trace of a batch, each ``(batch, timesteps, ...)``.

    Traces of further loops have a prefix, ``loops.1.``. A loop in two directions has those of the forward
    one.
    """
    traces: dict[str, np.ndarray] = {}
    for index, (loop, inputs) in enumerate(zip(network.loops, network.inputs_of_loops(batch), strict=True)):
        of_loop = _traces_of(loop, inputs)
        traces |= {prefixed(index, name): trace for name, trace in of_loop.items()}
    if network.feeds is not None:
        traces["outputs"] = np.asarray(network.model.predict_on_batch(dict(batch.inputs))["outputs"])
    return traces


def _traces_of(layer: Superloop, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Compute every trace of a loop by a copy of it."""
    config = layer.get_config() | {"traces": "all", "name": None}
    copy = Superloop.from_config(config)
    copy.build(None)
    copy.set_weights(layer.get_weights())
    run = tf.function(lambda inputs: as_float32(copy(inputs, training=False)), autograph=False)
    results = run({name: tf.constant(array) for name, array in inputs.items()})
    return {name: tensor.numpy() for name, tensor in results.items()}
