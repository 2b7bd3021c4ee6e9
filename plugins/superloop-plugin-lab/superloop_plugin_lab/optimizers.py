"""The optimizers that ``[train]`` may name."""

import keras

from superloop_core import ConfigError
from superloop_core.errors import Problem
from superloop_plugin_lab import OPTIMIZERS


def optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Return the class of an optimizer.

    Args:
        name: one of ``OPTIMIZERS``, or a class that is in Keras's registry already, ``package>Name``. Nothing
            is imported.

    Raises:
        ConfigError: no optimizer is registered by the name.
    """
    if name in OPTIMIZERS:
        cls: type[keras.optimizers.Optimizer] = getattr(keras.optimizers, OPTIMIZERS[name])
        return cls
    cls = keras.saving.get_registered_object(name)
    if not (isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer)):
        what = (
            f"'optimizer' must be {', '.join(OPTIMIZERS)}, or an optimizer that is registered with Keras "
            f"in this process: {name!r}; import it in the FILE of superloop -p FILE"
        )
        raise ConfigError([Problem("train", what)])
    return cls
