"""Settings of the neural stack, queue and deque."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge


@attrs.frozen(kw_only=True)
class NeuralMemoryConfig(ABC):
    """What the three have in common.

    Args:
        capacity: of how many timesteps the pushes are kept, however weak they are; a full memory loses the
            oldest. 0: as many as the sequence has, and nothing is lost.
        width: numbers in a value.
        value: what is pushed: the control as it is, or its tanh.
    """

    ends: ClassVar[int] = 1  # that are popped, pushed and read

    capacity: int = attrs.field(default=0, validator=ge(0))
    width: int = attrs.field(default=8, validator=ge(1))
    value: Literal["linear", "tanh"] = "tanh"

    @property
    @abstractmethod
    def memories(self) -> int:
        """How many there are, side by side."""

    @property
    def control_size(self) -> int:
        """For each end how much to push, how much to pop, and the value to push."""
        return self.memories * self.ends * (2 + self.width)

    @property
    def output_size(self) -> int:
        """What is read from each end."""
        return self.memories * self.ends * self.width


@attrs.frozen(kw_only=True)
class NeuralStackConfig(NeuralMemoryConfig):
    """Neural stacks.

    Args:
        stacks: how many, side by side, each with strengths of its own.
    """

    stacks: int = attrs.field(default=1, validator=ge(1))

    @property
    def memories(self) -> int:
        """The stacks."""
        return self.stacks


@attrs.frozen(kw_only=True)
class NeuralQueueConfig(NeuralMemoryConfig):
    """Neural queues.

    Args:
        queues: how many, side by side, each with strengths of its own.
    """

    queues: int = attrs.field(default=1, validator=ge(1))

    @property
    def memories(self) -> int:
        """The queues."""
        return self.queues


@attrs.frozen(kw_only=True)
class NeuralDequeConfig(NeuralMemoryConfig):
    """Neural deques: double-ended queues.

    Args:
        capacity: of how many timesteps the pushes are kept, at each end and however weak they are; what a
            full one loses is the oldest, in the middle. 0: as many as the sequence has, and nothing is lost.
        deques: how many, side by side, each with strengths of its own.
    """

    ends: ClassVar[int] = 2

    deques: int = attrs.field(default=1, validator=ge(1))

    @property
    def memories(self) -> int:
        """The deques."""
        return self.deques
