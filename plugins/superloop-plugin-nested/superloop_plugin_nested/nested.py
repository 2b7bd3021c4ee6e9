"""A loop as a cell, which a wiring is already, and as a system."""

from typing import Any

import attrs

from superloop_core import Builder, Sequence, System, assemble
from superloop_core.builder import State, Tensor
from superloop_plugin_nested.settings import LoopCellConfig, LoopSystemConfig


def loop_cell(settings: LoopCellConfig) -> Builder:
    """Return the wiring of the inner loop."""
    return assemble(settings.loop)


class LoopSystem(System[LoopSystemConfig]):
    """A loop as a system: the control is its inputs, its outputs are the read vector.

    It computes in float32 at least, as all systems do. Traces: those of the inner loop, after the id.
    """

    def __init__(self, config: LoopSystemConfig):
        super().__init__(config)
        self.wiring = assemble(config.loop, self.dtype_policy)
        self.supports_jit = self.wiring.supports_jit
        self.stochastic = self.wiring.stochastic

    def build(self, input_size: int) -> None:
        """Make the weights of the inner cells and systems."""
        self.wiring.build(input_size)

    def initial_state(self, sequence: Sequence) -> State:
        """Return the initial state of the inner loop."""
        return self.wiring.initial_state(self._inner(sequence))

    def prepare(self) -> Any:
        """Return what the inner loop prepares."""
        return self.wiring.prepare()

    def constants(self, sequence: Sequence) -> Any:
        """Return the constants of the inner loop."""
        return self.wiring.constants(self._inner(sequence))

    def step(self, control: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take one timestep of the inner loop: control ``(batch, inputs)``, read ``(batch, outputs)``."""
        return self.wiring.step(control, state, constants)

    def state_names(self, state: State) -> list[str]:
        """Return the inner loop's paths of the state's tensors."""
        return self.wiring.state_names(state)

    def _inner(self, sequence: Sequence) -> Sequence:
        """Return the sequence in the inner loop's dtype."""
        return attrs.evolve(sequence, dtype=self.compute_dtype)
