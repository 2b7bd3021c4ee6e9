"""The neural stack."""

from typing import Any

from superloop_core.builder import Tensor
from superloop_plugin_stacks.neural import NeuralMemory, NeuralState, above, popped, pushed
from superloop_plugin_stacks.settings import NeuralStackConfig


class NeuralStack(NeuralMemory[NeuralStackConfig]):
    """Stacks that are popped, pushed and read, in this order; each value has a strength.

    ::

        d, u = sigmoid(scores),  v = tanh(value)                 or linear
        s_i <- max(0, s_i - max(0, u - sum of s above i))        pop u
        (V, s) <- (v, d) on top of (V, s)                        push
        r = sum_i min(s_i, max(0, 1 - sum of s above i)) V_i     read

    A pop removes a strength of u from the top down; a read averages the topmost strength of 1. An empty stack
    reads as zeros; a full one drops its oldest value.

    Reference: Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516

    Traces: ``values`` ``(batch, stacks, capacity, width)`` and ``strengths`` ``(batch, stacks, capacity)``,
    the top first; ``push`` d and ``pop`` u, ``(batch, stacks, 1)``.
    """

    def step(
        self, control: Tensor, state: NeuralState, constants: Any
    ) -> tuple[Tensor, NeuralState, dict[str, Tensor]]:
        """Pop, push, read: control ``(batch, stacks * (2 + width))``."""
        del constants
        push, pop, value = self.interface(control)
        strengths = popped(state.strengths, pop, above(state.strengths))
        state = pushed(state._replace(strengths=strengths), push, value)
        return self.read(state, above), state, {"push": push, "pop": pop}
