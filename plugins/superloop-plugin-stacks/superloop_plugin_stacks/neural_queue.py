"""The neural queue."""

from typing import Any

from superloop_core.builder import Tensor
from superloop_plugin_stacks.neural import NeuralMemory, NeuralState, below, popped, pushed
from superloop_plugin_stacks.settings import NeuralQueueConfig


class NeuralQueue(NeuralMemory[NeuralQueueConfig]):
    """Queues that are popped, pushed and read, in this order; each value has a strength.

    ::

        d, u = sigmoid(scores),  v = tanh(value)                 or linear
        s_i <- max(0, s_i - max(0, u - sum of s below i))        pop u
        (V, s) <- (v, d) on top of (V, s)                        push
        r = sum_i min(s_i, max(0, 1 - sum of s below i)) V_i     read

    The neural stack, popped and read from the bottom up: first in, first out. An empty queue reads as zeros;
    a full one drops its oldest value.

    Reference: Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516

    Traces: ``values`` ``(batch, queues, capacity, width)`` and ``strengths`` ``(batch, queues, capacity)``,
    the latest push first; ``push`` d and ``pop`` u, ``(batch, queues, 1)``.
    """

    def step(
        self, control: Tensor, state: NeuralState, constants: Any
    ) -> tuple[Tensor, NeuralState, dict[str, Tensor]]:
        """Pop, push, read: control ``(batch, queues * (2 + width))``."""
        del constants
        push, pop, value = self.interface(control)
        strengths = popped(state.strengths, pop, below(state.strengths))
        state = pushed(state._replace(strengths=strengths), push, value)
        return self.read(state, below), state, {"push": push, "pop": pop}
