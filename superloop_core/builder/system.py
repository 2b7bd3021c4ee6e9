"""System, the base class of external systems."""

import abc
from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

import keras

from superloop_core.builder.dtypes import addressing_dtype
from superloop_core.builder.protocol import Sequence, State, Tensor
from superloop_core.system_settings import SystemSettings

SettingsT = TypeVar("SettingsT", bound=SystemSettings)


class System(keras.layers.Layer, abc.ABC, Generic[SettingsT]):  # type: ignore[misc]
    """The base of external systems: what the superloop goes through.

    A system is a Builder whose input is its control, ``(batch, control_size)``: the core projects the
    last cell's output to it. Its answer is fed back to the cells at the next timestep. It computes in
    float32 at least, whatever the dtype policy is, since positions and addresses are inexact in less.

    It is generic in its settings: ``class Stack(System[StackConfig])`` gives ``self.config`` its type.

    Args:
        config: the settings, with ``control_size``, ``output_size`` and ``sources``.
    """

    # How the projection that gives the control starts. A random initializer is made in __init__: one made
    # with the class would draw its seed when the plugin is imported, once for all.
    control_kernel_initializer: Any = "glorot_uniform"
    control_bias_initializer: Any = "zeros"
    # Fields of the state that may be learned at t = 0; None: all. What must stay on a simplex, such as a
    # weighting, is none of them.
    learned_fields: Collection[str] | None = None

    def __init__(self, config: SettingsT):
        super().__init__(dtype=addressing_dtype(keras.config.dtype_policy()), autocast=False)
        self.config = config
        self.control_size = config.control_size
        self.output_size = config.output_size

    @property
    def slot_names(self) -> Mapping[str, tuple[str, ...]]:
        """What the last axis of a trace holds, for pictures: ``{"actions": ("push", "pop")}``, say."""
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
        """Return what every timestep shares: ``sequence.sources``, unless there is more to prepare."""
        return sequence.sources

    @abc.abstractmethod
    def step(self, control: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take the system's part of one timestep: see :meth:`Builder.step`.

        Args:
            control: ``(batch, control_size)``, not squashed yet.
            state: the memory before the step.
            constants: as :meth:`constants` gave them.

        Returns:
            the answer ``(batch, output_size)``, the memory after the step, and named tensors.
        """
