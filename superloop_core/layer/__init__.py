"""The Keras layer: where names and tensors meet."""

from superloop_core.layer.saving import load_model
from superloop_core.layer.superloop import Superloop

__all__ = ["Superloop", "load_model"]
