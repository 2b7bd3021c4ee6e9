"""The Keras layer: where names and tensors meet."""

from superloop_core.layer.finite import first_not_finite
from superloop_core.layer.keras_config import check_keras_config
from superloop_core.layer.limited_variables import limited_build
from superloop_core.layer.named_objects import keras_objects
from superloop_core.layer.saving import load_model
from superloop_core.layer.superloop import Superloop
from superloop_core.layer.weights_file import load_weights

__all__ = [
    "Superloop", "check_keras_config", "first_not_finite", "keras_objects", "limited_build", "load_model",
    "load_weights",
]  # fmt: skip
