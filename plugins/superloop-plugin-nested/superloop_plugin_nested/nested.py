"""A wiring as a cell, which it is as it stands, and as a system."""

from typing import Any

import attrs

from superloop_core import Sequence, System
from superloop_core.builder import State, Tensor
from superloop_core.layer.assembly import assemble
from superloop_core.loop.wiring import Wiring
from superloop_plugin_nested import LoopCellConfig, LoopSystemConfig


def loop_cell(settings: LoopCellConfig) -> Wiring:
    """Return the wiring of the loop."""
    return assemble(settings.loop)


class LoopSystem(System):
    """A loop that another one goes through: its inputs are the control, its outputs the answer.

    All of it computes in float32 at least, as systems do. Traces: its own, after its id.
    """

    def __init__(self, config: LoopSystemConfig):
        super().__init__(config)
        self.wiring = assemble(config.loop, self.dtype_policy)
        self.supports_jit = self.wiring.supports_jit

    def build(self, input_size: int) -> None:
        """Make the weights of its cells and systems."""
        self.wiring.build(input_size)

    def initial_state(self, sequence: Sequence) -> State:
        """Return the state of all its parts."""
        return self.wiring.initial_state(self._as_its_own(sequence))

    def constants(self, sequence: Sequence) -> Any:
        """Return what its parts share over time."""
        return self.wiring.constants(self._as_its_own(sequence))

    def step(self, control: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take one timestep of it: control ``(batch, inputs)``, answer ``(batch, outputs)``."""
        return self.wiring.step(control, state, constants)

    def state_names(self, state: State) -> list[str]:
        """Return the paths of the state's tensors, as the inner loop names them."""
        return self.wiring.state_names(state)

    def _as_its_own(self, sequence: Sequence) -> Sequence:
        return attrs.evolve(sequence, dtype=self.compute_dtype)
