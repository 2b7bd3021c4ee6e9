"""The weights of this package's own cells, with initializers, regularizers and constraints of Keras."""

from typing import Any

import keras

MODULES = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


class Kernels(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose kernels and biases have Keras's settings.

    Args:
        settings: ``kernel_initializer``, ``bias_regularizer`` and so on, objects or as Keras saves them; and
            the arguments of Keras's layers.
    """

    def __init__(self, **settings: Any):
        names = [f"{weight}_{kind}" for weight in ("kernel", "bias") for kind in MODULES]
        given = {name: settings.pop(name) for name in names if settings.get(name) is not None}
        super().__init__(**settings)
        self.given = {name: MODULES[name.rpartition("_")[2]].get(value) for name, value in given.items()}

    def add_kernel(self, shape: tuple[int, ...], name: str = "kernel") -> Any:
        """Make a kernel."""
        return self.add_weight(shape=shape, name=name, **self._of("kernel"))

    def add_bias(self, size: int, name: str = "bias") -> Any:
        """Make a bias, of zeros unless it has an initializer."""
        return self.add_weight(shape=(size,), name=name, **{"initializer": "zeros", **self._of("bias")})

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__`` that are given."""
        own = {name: MODULES[name.rpartition("_")[2]].serialize(value) for name, value in self.given.items()}
        return {**super().get_config(), **own}

    def _of(self, weight: str) -> dict[str, Any]:
        """Return the arguments of a weight; an initializer without a seed draws other numbers each time."""
        own = {name.partition("_")[2]: value for name, value in self.given.items() if name.startswith(weight)}
        if isinstance(own.get("initializer"), keras.initializers.Initializer):
            own["initializer"] = own["initializer"].clone()
        return own
