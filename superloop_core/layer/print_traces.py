"""PrintTraces: the traces of a model as JSON lines."""

import json
from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import Tensor
from superloop_core.names import OUTPUTS


@keras.saving.register_keras_serializable("superloop_core")
class PrintTraces(keras.layers.Layer):  # type: ignore[misc]
    """Prints the systems' traces as JSON lines when the model runs, and returns them.

    Each line is ``{"timestep": 0, "trace": "Attention.position", "values": [...]}``, at most
    ``limit`` values of a trace, of all rows in order.
    """

    def __init__(self, limit: int, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.limit = limit
        self.supports_jit = False  # nothing can be printed under XLA

    def call(self, results: dict[str, Tensor]) -> dict[str, Tensor]:
        """Print, and return ``results``."""
        names = sorted(results.keys() - {OUTPUTS})
        done = tf.py_function(self._print, [tf.constant(names), *(results[name] for name in names)], [])
        with tf.control_dependencies([done] if done is not None else []):
            return {name: tf.identity(tensor) for name, tensor in results.items()}

    def compute_output_spec(self, results: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the specs of ``results``."""
        return {name: keras.KerasTensor(t.shape, t.dtype) for name, t in results.items()}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        return dict(super().get_config(), limit=self.limit)

    def _print(self, names: Any, *traces: Any) -> None:
        decoded = [name.decode() for name in names.numpy()]
        arrays = [trace.numpy() for trace in traces]
        for timestep in range(arrays[0].shape[1] if arrays else 0):
            for name, array in zip(decoded, arrays, strict=True):
                values = array[:, timestep].ravel()[: self.limit]
                line = {"timestep": timestep, "trace": name, "values": [float(v) for v in values]}
                print(json.dumps(line), flush=True)
