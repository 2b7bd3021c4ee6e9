"""One timestep of a superloop: cells, systems and the feedback between them; itself a Builder.

::

    u_t = [input_t ; r_t^1 ; ... ; r_t^K]                    r_0 = 0
    h_t = cells(u_t)
    c_t^k = W_k h_t + b_k                                     the control of system k
    r_{t+1}^k, m_{t+1}^k = X_k(c_t^k, m_t^k, source_k)
    y_t = W_y h_t + b_y                                       or W_y [h_t ; r_{t+1}] + b_y
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import attrs
import keras
import tensorflow as tf
from keras import ops

from superloop_core.builder.dtypes import addressing_dtype, dtype_policy
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.builder.system import System
from superloop_core.errors import ConfigError, SuperloopError
from superloop_core.loop.contract import checked
from superloop_core.loop.paths import paths_of
from superloop_core.loop.traces import traces_of


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
        learned: paths of what is learned of the state at t = 0: ``cells.0``, ``tape``, ``tape.read``.
            What is learned is added to what the state would be, for every row the same, and starts as 0.
    """

    def __init__(
        self,
        cells: Iterable[Builder],
        systems: Mapping[str, System],
        *,
        outputs: int = 0,
        outputs_read_systems: bool = False,
        learned: Iterable[str] = (),
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
        self.learned = tuple(learned)
        self.controls = [
            keras.layers.Dense(
                system.control_size,
                kernel_initializer=_fresh(system.control_kernel_initializer),
                bias_initializer=_fresh(system.control_bias_initializer),
                name=f"control_{id}",
            )
            for id, system in zip(self.ids, self.systems, strict=True)
        ]
        self.projection = keras.layers.Dense(outputs, name="outputs") if outputs else None
        self.offsets: dict[str, dict[str, Any]] = {}  # what is learned of the first state, by path

    @property
    def sources(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes, less the batch, of what the systems read, by full name; and a nested loop's."""
        shapes: dict[str, tuple[int | None, ...]] = {}
        for cell in self.cells:
            shapes |= getattr(cell, "sources", {})
        for id, system in zip(self.ids, self.systems, strict=True):
            shapes |= {f"{id}_{name}": shape for name, shape in _sources_of(system).items()}
        return shapes

    def build(self, input_size: int) -> None:
        """Make the weights for an external input ``(batch, input_size)``; 0: there is none."""
        size = input_size + self.feedback_size
        for cell in self.cells:
            cell.build(size)
            size = cell.output_size
        for control, system in zip(self.controls, self.systems, strict=True):
            control.build((None, size))
            with dtype_policy(system.dtype_policy):
                system.build(system.control_size)
        if self.projection is not None:
            seen = size + self.feedback_size if self.outputs_read_systems else size
            self.projection.build((None, seen))
        if self.learned:
            parts = self._by_path(self.state_specs())
            builders = dict(zip(self.ids, self.systems, strict=True))
            for path in self.learned:
                self.offsets[path] = self._learn(path, parts[path], builders.get(path))
                if not self.offsets[path]:
                    raise ConfigError(
                        f"{path}: nothing of its state can be learned; leave out its 'learn_initial_state'"
                    )

    def initial_state(self, sequence: Sequence) -> LoopState:
        """Return every part's state at t = 0, and a feedback of zeros; with what is learned of them."""
        state = LoopState(
            cells=tuple(cell.initial_state(sequence) for cell in self.cells),
            systems=tuple(
                _told(id, system.initial_state, self._seen_by(id, system, sequence))
                for id, system in zip(self.ids, self.systems, strict=True)
            ),
            reads=tuple(
                ops.zeros((sequence.batch_size, system.output_size), dtype=sequence.dtype)
                for system in self.systems
            ),
        )
        parts = [self._with_learned(path, part) for path, part in self._by_path(state).items()]
        packed: LoopState = tf.nest.pack_sequence_as(state, tf.nest.flatten(parts))
        return packed

    def with_feedback(self, state: LoopState, feedback: Tensor) -> LoopState:
        """Return ``state`` with the systems' answers set to ``feedback``, ``(batch, feedback_size)``."""
        reads, start = [], 0
        for system in self.systems:
            reads.append(feedback[:, start : start + system.output_size])
            start += system.output_size
        return state._replace(reads=tuple(reads))

    def state_names(self, state: LoopState) -> list[str]:
        """Return the path of each tensor of a state, in the order of ``tf.nest.flatten(state)``."""
        builders = [*self.cells, *self.systems, *self.ids]  # an answer is a tensor, and has no builder
        parts = zip(self._by_path(state).items(), builders, strict=True)
        return [name for (path, part), builder in parts for name in paths_of(path, part, builder)]

    def state_specs(
        self, shapes: Mapping[str, Any] | None = None, *, timesteps: bool | int = True
    ) -> LoopState:
        """Return what a state is like, of tensors' specs, without computing one.

        Args:
            shapes: the shapes of sources, rows too, where more is known of them than the settings tell.
            timesteps: how many, for memories that are as large; True: some number; False: there is no saying,
                which these refuse.
        """
        known = {name: (None, *shape) for name, shape in self.sources.items()} | dict(shapes or {})

        def start(batch_size: Tensor, number: Tensor, sources: Mapping[str, Tensor]) -> LoopState:
            sequence = Sequence(
                batch_size=batch_size,
                timesteps=number if timesteps is True else timesteps or None,
                lengths=None,
                dtype=self.compute_dtype,
                sources=sources,
            )
            return self.initial_state(sequence)

        dtype = addressing_dtype(self.dtype_policy)
        sources = {name: tf.TensorSpec(shape, dtype) for name, shape in known.items()}
        scalar = tf.TensorSpec([], "int32")
        traced = tf.function(start, autograph=False).get_concrete_function(scalar, scalar, sources)
        specs: LoopState = tf.nest.map_structure(
            lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), traced.structured_outputs
        )
        return specs

    def constants(self, sequence: Sequence) -> LoopConstants:
        """Return every part's constants."""
        return LoopConstants(
            cells=tuple(cell.constants(sequence) for cell in self.cells),
            systems=tuple(
                _told(id, system.constants, self._seen_by(id, system, sequence))
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

        Raises:
            PluginError: what a cell or a system gave breaks the contract of :meth:`Builder.step`.
        """
        traces: dict[str, Tensor] = {}
        fed = [*([] if inputs is None else [inputs]), *state.reads]
        hidden = ops.concatenate(fed, axis=-1) if len(fed) > 1 else fed[0]  # (batch, input + feedback)

        cell_states = []
        for index, (cell, old) in enumerate(zip(self.cells, state.cells, strict=True)):
            path = f"cells.{index}"
            answer = cell.step(hidden, old, constants.cells[index])
            hidden, new, named = checked(answer, path, cell, old)
            cell_states.append(new)
            traces |= traces_of(path, cell, old, {}, named)

        reads, system_states = [], []
        for index, (id, system) in enumerate(zip(self.ids, self.systems, strict=True)):
            control = ops.cast(self.controls[index](hidden), system.variable_dtype)
            old = state.systems[index]
            answer = system.step(control, old, constants.systems[index])
            read, new, named = checked(answer, id, system, old)
            reads.append(ops.cast(read, state.reads[index].dtype))
            system_states.append(new)
            seen = {"read": state.reads[index], "control": control}
            traces |= traces_of(id, system, old, seen, named)

        outputs = hidden
        if self.projection is not None:
            seen_by_outputs = [hidden, *reads] if self.outputs_read_systems else [hidden]
            outputs = self.projection(ops.concatenate(seen_by_outputs, axis=-1))
        traces["outputs"] = outputs
        return outputs, LoopState(tuple(cell_states), tuple(system_states), tuple(reads)), traces

    def _seen_by(self, id: str, system: System, sequence: Sequence) -> Sequence:
        """The sequence with only the sources of one system, by the system's own names for them."""
        sources = {name: sequence.sources[f"{id}_{name}"] for name in _sources_of(system)}
        masks = {name: sequence.masks[f"{id}_{name}"] for name in sources if f"{id}_{name}" in sequence.masks}
        return attrs.evolve(sequence, sources=sources, masks=masks)

    def _by_path(self, state: LoopState) -> dict[str, State]:
        """Every part's state, in the order of ``tf.nest.flatten``."""
        parts = {f"cells.{index}": part for index, part in enumerate(state.cells)}
        parts |= dict(zip(self.ids, state.systems, strict=True))
        return parts | {f"{id}.read": read for id, read in zip(self.ids, state.reads, strict=True)}

    def _learn(self, path: str, specs: State, system: System | None) -> dict[str, Any]:
        """Make the weights of what is learned of one part's first state: of its floating tensors."""
        fields = None if system is None else system.learned_fields
        weights = {}
        for name, spec in paths_of(path, specs).items():
            field = name.removeprefix(f"{path}.").partition(".")[0]
            if not spec.dtype.is_floating or not (fields is None or field in fields):
                continue
            if not spec.shape[1:].is_fully_defined():
                raise ConfigError(
                    f"{name}: cannot be learned, since its size is not in the settings: {spec.shape}"
                )
            weights[name] = self.add_weight(shape=spec.shape[1:], initializer="zeros", name=f"initial_{name}")
        return weights

    def _with_learned(self, path: str, state: State) -> State:
        if path not in self.offsets:
            return state
        offsets = self.offsets[path]
        tensors = [
            tensor + ops.cast(offsets[name], tensor.dtype) if name in offsets else tensor
            for name, tensor in paths_of(path, state).items()
        ]
        return tf.nest.pack_sequence_as(state, tensors)


def _told(id: str, call: Callable[[Sequence], Any], sequence: Sequence) -> Any:
    """Call a system, which does not know what it is called, so that an error tells its id."""
    try:
        return call(sequence)
    except SuperloopError as error:
        raise type(error)(f"{id}: {error}") from error


def _sources_of(system: System) -> Mapping[str, tuple[int | None, ...]]:
    return getattr(system.config, "sources", {})


def _fresh(initializer: Any) -> Any:
    """An initializer with a seed of its own; one that is shared would draw the same numbers each time."""
    return initializer.clone() if isinstance(initializer, keras.initializers.Initializer) else initializer
