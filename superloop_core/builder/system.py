"""System, the base class of external systems."""

import abc
from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

import keras

from superloop_core.builder.dtypes import addressing_dtype
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.system_settings import Shape, SystemSettings, sources_of

SettingsT = TypeVar("SettingsT", bound=SystemSettings)


class System(keras.layers.Layer, Builder, Generic[SettingsT]):  # type: ignore[misc]
    """The base class of external systems.

    A system is a Builder. Its input is its control, ``(batch, control_size)``, a projection of the last
    cell's output that the core owns. Its output is its read vector, which the cells see at the next
    timestep. It computes in float32 at least, whatever the dtype policy is, since positions and addresses
    are inexact in less.

    It is generic in its settings: ``class Stack(System[StackConfig])`` gives ``self.config`` its type.

    Args:
        config: the settings, with ``control_size``, ``output_size`` and ``sources``.
    """

    # Initializers of the projection to the control. Make a random one in __init__: one that is made with
    # the class would draw its seed when the plugin is imported, once for all instances.
    control_kernel_initializer: Any = "glorot_uniform"
    control_bias_initializer: Any = "zeros"
    # Fields of the state that may be learned at t = 0; None: all. Leave out those that must stay on a
    # simplex, such as a weighting.
    learned_fields: Collection[str] | None = None

    def __init__(self, config: SettingsT):
        super().__init__(dtype=addressing_dtype(keras.config.dtype_policy()), autocast=False)
        self.supports_jit = type(self).supports_jit  # Keras sets True
        self.config = config
        self.control_size = config.control_size
        self.output_size = config.output_size

    @property
    def sources(self) -> Mapping[str, Shape]:
        """Shapes of the sources, by the system's own names, without the batch axis."""
        return sources_of(self.config)

    @property
    def slot_names(self) -> Mapping[str, tuple[str, ...]]:
        """Labels for the last axis of a trace, for pictures: ``{"actions": ("push", "pop")}``."""
        return {}

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Add a weight that mixed precision leaves in its own dtype."""
        return super().add_weight(*args, **({"autocast": False} | kwargs))

    def build(self, input_size: int) -> None:
        """Make the weights; a system without any inherits this."""
        del input_size

    @abc.abstractmethod
    def initial_state(self, sequence: Sequence) -> State:
        """Return the empty memory, a NamedTuple of tensors ``(batch, ...)``; its fields name traces."""

    def constants(self, sequence: Sequence) -> Any:
        """Return what all timesteps share; by default ``sequence.sources``."""
        return sequence.sources

    @abc.abstractmethod
    def step(self, control: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take the system's part of one timestep: see :meth:`Builder.step`.

        Args:
            control: ``(batch, control_size)``, before any squashing.
            state: the memory before the step.
            constants: the result of :meth:`constants`.

        Returns:
            the read vector ``(batch, output_size)``, the memory after the step, and named tensors.
        """
