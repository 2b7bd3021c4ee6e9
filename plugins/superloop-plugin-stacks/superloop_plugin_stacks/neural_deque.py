"""The neural deque."""

from typing import Any

from keras import ops

from superloop_core.builder import Tensor
from superloop_plugin_stacks.neural import NeuralMemory, NeuralState, above, below, popped
from superloop_plugin_stacks.settings import NeuralDequeConfig


class NeuralDeque(NeuralMemory[NeuralDequeConfig]):
    """Deques that are popped, pushed and read at both ends, in this order; each value has a strength.

    ::

        d, u = sigmoid(scores),  v = tanh(value)                          or linear; of the top, of the bottom
        s_i <- max(0, s_i - max(0, u_top - sum of s above i))             pop the top
        s_i <- max(0, s_i - max(0, u_bot - sum of s below i))             then the bottom, of what is left
        (V, s) <- (v_top, d_top) on top of (V, s) on top of (v_bot, d_bot)
        r_top = sum_i min(s_i, max(0, 1 - sum of s above i)) V_i
        r_bot = sum_i min(s_i, max(0, 1 - sum of s below i)) V_i

    The sums go over all slots: with the bounds of the paper's equations 7 and 8 the topmost could not be
    popped.

    The oldest pushes of both ends meet in the middle, where a full deque drops them. An empty one reads as
    zeros.

    Reference: Grefenstette et al., 2015, https://arxiv.org/abs/1506.02516

    Traces: ``values`` ``(batch, deques, 2 * capacity, width)`` and ``strengths``
    ``(batch, deques, 2 * capacity)``, from the top to the bottom; ``push`` d and ``pop`` u,
    ``(batch, deques, 2)``: of the top, of the bottom.
    """

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The ends."""
        return dict.fromkeys(("push", "pop"), ("top", "bottom"))

    def step(
        self, control: Tensor, state: NeuralState, constants: Any
    ) -> tuple[Tensor, NeuralState, dict[str, Tensor]]:
        """Pop, push, read: control ``(batch, deques * 2 * (2 + width))``."""
        del constants
        push, pop, value = self.interface(control)
        strengths = popped(state.strengths, pop[:, :, :1], above(state.strengths))
        strengths = popped(strengths, pop[:, :, 1:], below(strengths))
        state = NeuralState(_between(value, state.values), _between(push, strengths))
        return self.read(state, above, below), state, {"push": push, "pop": pop}


def _between(ends: Tensor, held: Tensor) -> Tensor:
    """Put the slots between a new top and a new bottom; the two in the middle are lost."""
    top, bottom = ops.split(ends, 2, axis=2)
    upper, lower = ops.split(held, 2, axis=2)
    return ops.concatenate([top, upper[:, :, :-1], lower[:, :, 1:], bottom], axis=2)
