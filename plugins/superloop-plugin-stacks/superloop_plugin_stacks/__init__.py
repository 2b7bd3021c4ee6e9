"""Stacks."""

from typing import Literal

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

    @property
    def state_size(self) -> int:
        """The cells of all stacks."""
        return self.stacks * self.depth * self.width

    def count_weights(self, input_size: int) -> int:
        """None."""
        del input_size
        return 0


@hookimpl
def superloop_register():
    """The continuous stack, and the neural stack, queue and deque."""
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
