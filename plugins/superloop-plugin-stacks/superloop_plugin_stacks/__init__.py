"""Stacks."""

from collections.abc import Iterator

from superloop_core import SystemSpec, hookimpl
from superloop_plugin_stacks.settings import (
    NeuralDequeConfig,
    NeuralQueueConfig,
    NeuralStackConfig,
    NondeterministicStackConfig,
    StackConfig,
)

__all__ = [
    "NeuralDequeConfig",
    "NeuralQueueConfig",
    "NeuralStackConfig",
    "NondeterministicStackConfig",
    "StackConfig",
    "superloop_register",
]


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the stacks."""
    yield SystemSpec(
        name="stack",
        config=StackConfig,
        factory="superloop_plugin_stacks.stack:Stack",
        summary="Continuous stacks that push, pop and stay by shares (Joulin and Mikolov, 2015)",
        example={"depth": 4, "width": 3, "stacks": 2},
        reference="Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007",
    )
    # The examples of the neural memories keep the kit's finite differences away from a corner of the
    # equations: a strength that was just popped to zero.
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
