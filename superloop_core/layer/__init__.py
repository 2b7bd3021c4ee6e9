"""The Keras layer: where names and tensors meet."""

from superloop_core.layer.finite import first_not_finite
from superloop_core.layer.saving import load_model
from superloop_core.layer.superloop import Superloop

__all__ = ["Superloop", "first_not_finite", "load_model"]
