"""A loop as a cell, which a wiring is already, and as a system."""

from typing import Any

import attrs

from superloop_core import Builder, PartConfig, Sequence, Superloop, SuperloopCell, System, Wiring, assemble
from superloop_core.builder import State, Tensor
from superloop_plugin_nested.settings import LoopCellConfig, LoopSystemConfig

NAME = "superloop-plugin-nested:superloop"


def part_of(part: Any, kind: str) -> PartConfig | None:
    """Return a Superloop or a SuperloopCell as a part of another loop, with its own weights."""
    if not isinstance(part, Superloop | SuperloopCell):
        return None
    if kind == "cell":
        inner = attrs.evolve(part.config, inputs=0, timesteps=0, suppress_output=0)
        return PartConfig(use=NAME, settings=LoopCellConfig(loop=inner), given=part.wiring)
    config = LoopSystemConfig(loop=attrs.evolve(part.config, timesteps=0, suppress_output=0))
    return PartConfig(use=NAME, settings=config, given=LoopSystem(config, part.wiring))


def loop_cell(settings: LoopCellConfig) -> Builder:
    """Return the wiring of the inner loop."""
    return assemble(settings.loop)


class LoopSystem(System[LoopSystemConfig]):
    """A loop as a system: the control is its inputs, its outputs are the read vector.

    It computes in float32 at least, as all systems do. Traces: those of the inner loop, after the id.

    Args:
        config: the settings.
        wiring: the inner loop's, where it is there already.
    """

    def __init__(self, config: LoopSystemConfig, wiring: Wiring | None = None):
        super().__init__(config)
        self.wiring = wiring or assemble(config.loop, self.dtype_policy)
        self.supports_jit = self.wiring.supports_jit
        self.stochastic = self.wiring.stochastic

    @property
    def trace_views(self) -> Any:
        """Those of the inner loop."""
        return self.wiring.trace_views

    @property
    def slot_names(self) -> Any:
        """Those of the inner loop."""
        return self.wiring.slot_names

    def build(self, input_size: int) -> None:
        """Make the weights of the inner cells and systems."""
        if not self.wiring.built:
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
