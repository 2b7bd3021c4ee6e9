"""One timestep of a superloop: cells, systems and the feedback between them; itself a Builder.

::

    u_t = [input_t ; r_t^1 ; ... ; r_t^K]                    r_0 = 0
    h_t = cells(u_t)
    c_t^k = W_k h_t + b_k                                     the control of system k
    r_{t+1}^k, m_{t+1}^k = X_k(c_t^k, m_t^k, source_k)
    y_t = W_y h_t + b_y                                       or W_y [h_t ; r_{t+1}] + b_y
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import attrs
import keras
from keras import ops

from superloop_core.builder import Builder, Sequence, State, System, Tensor


class LoopState(NamedTuple):
    """What goes from one timestep to the next."""

    cells: tuple[State, ...]
    systems: tuple[State, ...]
    reads: tuple[Tensor, ...]  # of each system: (batch, output_size)


class LoopConstants(NamedTuple):
    """What all timesteps of a sequence share."""

    cells: tuple[Any, ...]
    systems: tuple[Any, ...]


class Wiring(keras.layers.Layer):  # type: ignore[misc]
    """Cells and systems wired into one timestep.

    Args:
        cells: the stack of recurrent cells, from the input up.
        systems: the external systems by id; their sources are named ``<id>_<source>``.
        outputs: size of the output; 0: the last cell's output, unprojected.
        outputs_read_systems: whether the output at t also reads what the systems answer at t.
    """

    def __init__(
        self,
        cells: Iterable[Builder],
        systems: Mapping[str, System],
        *,
        outputs: int = 0,
        outputs_read_systems: bool = False,
        name: str | None = None,
    ):
        super().__init__(autocast=False, name=name)
        self.cells = list(cells)
        self.ids = tuple(systems)
        self.systems = list(systems.values())
        self.supports_jit = all(getattr(p, "supports_jit", True) for p in (*self.cells, *self.systems))
        self.outputs_read_systems = outputs_read_systems
        self.feedback_size = sum(system.output_size for system in self.systems)
        self.output_size = outputs or self.cells[-1].output_size
        self.controls = [
            keras.layers.Dense(
                system.control_size,
                kernel_initializer=system.control_kernel_initializer,
                bias_initializer=system.control_bias_initializer,
                name=f"control_{id}",
            )
            for id, system in zip(self.ids, self.systems, strict=True)
        ]
        self.projection = keras.layers.Dense(outputs, name="outputs") if outputs else None

    def build(self, input_size: int) -> None:
        """Make the weights for an external input ``(batch, input_size)``; 0: there is none."""
        size = input_size + self.feedback_size
        for cell in self.cells:
            cell.build(size)
            size = cell.output_size
        for control, system in zip(self.controls, self.systems, strict=True):
            control.build((None, size))
            system.build(system.control_size)
        if self.projection is not None:
            seen = size + self.feedback_size if self.outputs_read_systems else size
            self.projection.build((None, seen))

    def initial_state(self, sequence: Sequence) -> LoopState:
        """Return every part's state at t = 0, and a feedback of zeros."""
        return LoopState(
            cells=tuple(cell.initial_state(sequence) for cell in self.cells),
            systems=tuple(
                system.initial_state(self._seen_by(id, system, sequence))
                for id, system in zip(self.ids, self.systems, strict=True)
            ),
            reads=tuple(
                ops.zeros((sequence.batch_size, system.output_size), dtype=sequence.dtype)
                for system in self.systems
            ),
        )

    def with_feedback(self, state: LoopState, feedback: Tensor) -> LoopState:
        """Return ``state`` with the systems' answers set to ``feedback``, ``(batch, feedback_size)``."""
        reads, start = [], 0
        for system in self.systems:
            reads.append(feedback[:, start : start + system.output_size])
            start += system.output_size
        return state._replace(reads=tuple(reads))

    def constants(self, sequence: Sequence) -> LoopConstants:
        """Return every part's constants."""
        return LoopConstants(
            cells=tuple(cell.constants(sequence) for cell in self.cells),
            systems=tuple(
                system.constants(self._seen_by(id, system, sequence))
                for id, system in zip(self.ids, self.systems, strict=True)
            ),
        )

    def step(
        self, inputs: Tensor | None, state: LoopState, constants: LoopConstants
    ) -> tuple[Tensor, LoopState, dict[str, Tensor]]:
        """Take one timestep.

        Returns:
            the output ``(batch, output_size)``, the next state, and the traces by path:
            ``tape.position`` and ``cells.0.h`` as they were before the step, ``tape.read`` as the
            cells saw it; ``tape.control``, ``tape.weights``, ``cells.0.output`` and ``outputs`` as
            they came to be in it.
        """
        traces: dict[str, Tensor] = {}
        fed = [*([] if inputs is None else [inputs]), *state.reads]
        hidden = ops.concatenate(fed, axis=-1) if len(fed) > 1 else fed[0]  # (batch, input + feedback)

        cell_states = []
        for index, (cell, old) in enumerate(zip(self.cells, state.cells, strict=True)):
            hidden, new, named = cell.step(hidden, old, constants.cells[index])
            cell_states.append(new)
            traces |= _paths(f"cells.{index}", old) | _prefixed(f"cells.{index}", named)

        reads, system_states = [], []
        for index, (id, system) in enumerate(zip(self.ids, self.systems, strict=True)):
            control = ops.cast(self.controls[index](hidden), system.variable_dtype)
            old = state.systems[index]
            read, new, named = system.step(control, old, constants.systems[index])
            reads.append(ops.cast(read, state.reads[index].dtype))
            system_states.append(new)
            seen = {"read": state.reads[index], "control": control}
            traces |= _paths(id, old) | _prefixed(id, seen) | _prefixed(id, named)

        outputs = hidden
        if self.projection is not None:
            seen_by_outputs = [hidden, *reads] if self.outputs_read_systems else [hidden]
            outputs = self.projection(ops.concatenate(seen_by_outputs, axis=-1))
        traces["outputs"] = outputs
        return outputs, LoopState(tuple(cell_states), tuple(system_states), tuple(reads)), traces

    def _seen_by(self, id: str, system: System, sequence: Sequence) -> Sequence:
        """The sequence with only the sources of one system, by the system's own names for them."""
        names = getattr(system.config, "sources", ())
        return attrs.evolve(sequence, sources={name: sequence.sources[f"{id}_{name}"] for name in names})


def _paths(prefix: str, state: State) -> dict[str, Tensor]:
    """Name every tensor of a state by its path: ``tape.position``."""
    if not isinstance(state, tuple):
        return {prefix: state}
    names = getattr(state, "_fields", range(len(state)))
    paths: dict[str, Tensor] = {}
    for name, part in zip(names, state, strict=True):
        paths |= _paths(f"{prefix}.{str(name).lstrip('_')}", part)
    return paths


def _prefixed(prefix: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in named.items()}
