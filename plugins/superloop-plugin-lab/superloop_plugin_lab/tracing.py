"""Every trace of a model on a batch."""

import numpy as np
import tensorflow as tf

from superloop_core import Superloop
from superloop_core.task import Batch
from superloop_plugin_lab.compatibility import as_float32


def compute_traces(layer: Superloop, batch: Batch) -> dict[str, np.ndarray]:
    """Return every trace of a batch, each ``(batch, timesteps, ...)``, computed by a copy of the layer."""
    config = layer.get_config() | {"traces": "all", "name": None}
    copy = Superloop.from_config(config)
    copy.build(None)
    copy.set_weights(layer.get_weights())
    run = tf.function(lambda inputs: as_float32(copy(inputs, training=False)), autograph=False)
    results = run({name: tf.constant(array) for name, array in batch.inputs.items()})
    return {name: tensor.numpy() for name, tensor in results.items()}
