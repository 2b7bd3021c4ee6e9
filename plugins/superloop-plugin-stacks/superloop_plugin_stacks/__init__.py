"""Stacks."""

from typing import Any, Literal

import attrs
from attrs.validators import ge

from superloop_core import SystemSpec, hookimpl
from superloop_plugin_stacks.neural_settings import NeuralDequeConfig, NeuralQueueConfig, NeuralStackConfig


@attrs.frozen(kw_only=True)
class StackConfig:
    """Continuous stacks.

    Args:
        depth: cells of each; what is pushed past the last is lost.
        width: numbers in a cell.
        stacks: how many, side by side, each with actions of its own.
        no_op: whether a stack may stay as it is; otherwise it pushes or pops.
        value: what is pushed: the control as it is, or its sigmoid.
    """

    depth: int = attrs.field(default=32, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    stacks: int = attrs.field(default=1, validator=ge(1))
    no_op: bool = True
    value: Literal["linear", "sigmoid"] = "linear"

    @property
    def actions(self) -> int:
        """Push, pop and, with ``no_op``, stay."""
        return 3 if self.no_op else 2

    @property
    def control_size(self) -> int:
        """For each stack its actions, and what to push."""
        return self.stacks * (self.actions + self.width)

    @property
    def output_size(self) -> int:
        """The tops."""
        return self.stacks * self.width


@attrs.frozen(kw_only=True)
class NondeterministicStackConfig:
    """Nondeterministic stacks: all runs of a pushdown automaton at once.

    Args:
        states: states of the automaton.
        symbols: symbols of the stack; the first is also the bottom's.
        normalize: whether the weights of what the automaton may do under a top are a softmax; otherwise
            they are the exp of the scores.
        read: what is read: shares of the ``symbols`` on top, or of ``states_and_symbols``.
        capacity: how many timesteps back the stack knows what lies below a top, 2 or more, which is the
            window of the papers; 0: all timesteps of the sequence. Time and memory grow with its square.
        width: numbers in the vector that comes with a symbol; 0: there is none.
    """

    states: int = attrs.field(default=2, validator=ge(1))
    symbols: int = attrs.field(default=3, validator=ge(1))
    normalize: bool = False
    read: Literal["symbols", "states_and_symbols"] = "states_and_symbols"
    capacity: int = attrs.field(default=0, validator=ge(0))
    width: int = attrs.field(default=0, validator=ge(0))

    @capacity.validator
    def _no_capacity_of_one(self, attribute: Any, value: int) -> None:
        del attribute
        if value == 1:
            raise ValueError("'capacity' must be 0, or 2 or more: 1, in which nothing can be popped")

    @property
    def tops(self) -> int:
        """Pairs of a symbol on top and a state."""
        return self.symbols * self.states

    @property
    def actions(self) -> int:
        """Under each top: push and go to one, replace by one, pop and go to a state."""
        return self.tops * (2 * self.tops + self.states)

    @property
    def control_size(self) -> int:
        """Scores of all actions, and what to push."""
        return self.actions + self.width

    @property
    def output_size(self) -> int:
        """A share, or a vector, of each symbol, or of each symbol and state."""
        return (self.symbols if self.read == "symbols" else self.tops) * (self.width or 1)


@hookimpl
def superloop_register():
    """The stacks."""
    yield SystemSpec(
        name="stack",
        config=StackConfig,
        factory="superloop_plugin_stacks.stack:Stack",
        summary="Continuous stacks that push, pop and stay by shares (Joulin and Mikolov, 2015)",
        example={"depth": 4, "width": 3, "stacks": 2},
        reference="Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007",
    )
    # Of these, the examples are such that the kit's finite differences start from no strength that was popped
    # to nothing and matters still: there the equations have a corner.
    yield SystemSpec(
        name="neural_stack",
        config=NeuralStackConfig,
        factory="superloop_plugin_stacks.neural_stack:NeuralStack",
        summary="Stacks whose values have strengths (Grefenstette et al., 2015)",
        example={"capacity": 4, "width": 2, "stacks": 2},
        reference="Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516",
    )
    yield SystemSpec(
        name="neural_queue",
        config=NeuralQueueConfig,
        factory="superloop_plugin_stacks.neural_queue:NeuralQueue",
        summary="Queues whose values have strengths (Grefenstette et al., 2015)",
        example={"capacity": 4, "width": 2, "queues": 2},
        reference="Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516",
    )
    yield SystemSpec(
        name="neural_deque",
        config=NeuralDequeConfig,
        factory="superloop_plugin_stacks.neural_deque:NeuralDeque",
        summary="Double-ended queues whose values have strengths (Grefenstette et al., 2015)",
        example={"capacity": 3, "width": 3, "deques": 2},
        reference="Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516",
    )
    yield SystemSpec(
        name="nondeterministic_stack",
        config=NondeterministicStackConfig,
        factory="superloop_plugin_stacks.nondeterministic:NondeterministicStack",
        summary="All runs of a pushdown automaton at once, with vectors or not (DuSell and Chiang, 2020)",
        example={"states": 2, "symbols": 2, "capacity": 4, "width": 2},
        reference="DuSell and Chiang, 2022, https://arxiv.org/abs/2109.01982",
    )
