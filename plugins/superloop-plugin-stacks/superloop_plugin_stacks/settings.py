"""Settings of the stacks."""

from abc import abstractmethod
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, in_

from superloop_core import SystemSettings


@attrs.frozen(kw_only=True)
class NeuralMemoryConfig(SystemSettings):
    """The base of the settings of the neural stack, queue and deque.

    Args:
        capacity: number of timesteps whose pushes are stored, however weak they are; a full memory drops the
            oldest. 0: all timesteps of the sequence.
        width: numbers in a value.
        value: the pushed value is the control itself, or its tanh.
        max_pop: least upper bound of pop strengths. The paper has 1; with more, one pop removes several
            values.
    """

    ends: ClassVar[int] = 1  # where it is popped, pushed and read

    capacity: int = attrs.field(default=0, validator=ge(0))
    width: int = attrs.field(default=8, validator=ge(1))
    value: Literal["linear", "tanh"] = "tanh"
    max_pop: float = attrs.field(default=1.0, validator=ge(1))

    @property
    @abstractmethod
    def memories(self) -> int:
        """Number of memories, side by side."""

    @property
    def control_size(self) -> int:
        """For each end the push strength, the pop strength, and the value to push."""
        return self.memories * self.ends * (2 + self.width)

    @property
    def output_size(self) -> int:
        """A value for each end."""
        return self.memories * self.ends * self.width


@attrs.frozen(kw_only=True)
class NeuralStackConfig(NeuralMemoryConfig):
    """Neural stacks.

    Args:
        stacks: number of stacks, side by side, each with strengths of its own.
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
        queues: number of queues, side by side, each with strengths of its own.
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
        capacity: number of timesteps whose pushes are stored, at each end and however weak they are; a full
            deque drops the oldest, in the middle. 0: all timesteps of the sequence.
        deques: number of deques, side by side, each with strengths of its own.
    """

    ends: ClassVar[int] = 2

    deques: int = attrs.field(default=1, validator=ge(1))

    @property
    def memories(self) -> int:
        """The deques."""
        return self.deques


@attrs.frozen(kw_only=True)
class StackConfig(SystemSettings):
    """Continuous stacks.

    Args:
        depth: cells of each stack; a push past the last cell is lost.
        width: numbers in a cell.
        stacks: number of stacks, side by side, each with actions of its own.
        no_op: whether a stack may also stay as it is, not only push or pop.
        value: the pushed value is the control itself, or its sigmoid.
        superposition: the shares of the actions are a softmax for ``each`` stack, or one ``joint`` softmax
            over the actions of all stacks.
        empty: the number in empty cells.
        read: the read vector holds the ``top`` cells, or the cells by ``attention``.
        top_cells: number of top cells in the read vector.
    """

    depth: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    stacks: int = attrs.field(default=1, validator=ge(1))
    no_op: bool = True
    value: Literal["linear", "sigmoid"] = "linear"
    superposition: Literal["each", "joint"] = "each"
    empty: int = attrs.field(default=0, validator=in_((-1, 0)))
    read: Literal["top", "attention"] = "top"
    top_cells: int = attrs.field(default=1, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        if self.top_cells > self.depth:
            raise ValueError(f"'top_cells' must be <= depth ({self.depth}): {self.top_cells}")
        if self.read == "attention" and self.top_cells > 1:
            raise ValueError(f"'read' = 'attention' reads all cells; 'top_cells' must be 1: {self.top_cells}")

    @property
    def actions(self) -> int:
        """Push, pop and, with ``no_op``, stay."""
        return 3 if self.no_op else 2

    @property
    def control_size(self) -> int:
        """The actions and the pushed value of each stack."""
        return self.stacks * (self.actions + self.width)

    @property
    def output_size(self) -> int:
        """The top cells of each stack, or their mean by attention."""
        return self.stacks * self.top_cells * self.width


@attrs.frozen(kw_only=True)
class NondeterministicStackConfig(SystemSettings):
    """Nondeterministic stacks: all runs of a pushdown automaton at once.

    Args:
        states: states of the automaton.
        symbols: symbols of the stack; the first is also the bottom's.
        normalize: whether the weights of the actions under a top are the softmax of their scores; otherwise
            they are the exp.
        read: the read vector holds the shares of the ``symbols`` on top, or of ``states_and_symbols``.
        capacity: the window of the papers, 2 or more: the number of timesteps for which the stack knows what
            lies below a top; 0: all timesteps of the sequence. Time and memory grow with its square.
        width: numbers in the vector of each symbol; 0: no vectors.
        bottom: the symbol at the bottom is ``replaceable``, and read again once all above it is popped; or it
            is ``fixed``: a run that replaces or uncovers it ends.
    """

    states: int = attrs.field(default=2, validator=ge(1))
    symbols: int = attrs.field(default=3, validator=ge(1))
    normalize: bool = False
    read: Literal["symbols", "states_and_symbols"] = "states_and_symbols"
    capacity: int = attrs.field(default=0, validator=ge(0))
    width: int = attrs.field(default=0, validator=ge(0))
    bottom: Literal["replaceable", "fixed"] = "replaceable"

    @capacity.validator
    def _no_capacity_of_one(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        del attribute
        if value == 1:
            raise ValueError("'capacity' must be 0, or 2 or more: 1, in which nothing can be popped")

    @property
    def tops(self) -> int:
        """Pairs of a symbol on top and a state."""
        return self.symbols * self.states

    @property
    def actions(self) -> int:
        """Under each top: push a top, replace by a top, or pop and go to a state."""
        return self.tops * (2 * self.tops + self.states)

    @property
    def control_size(self) -> int:
        """The scores of all actions, and the vector to push."""
        return self.actions + self.width

    @property
    def output_size(self) -> int:
        """A share or a vector for each symbol, or for each symbol and state."""
        return (self.symbols if self.read == "symbols" else self.tops) * (self.width or 1)
