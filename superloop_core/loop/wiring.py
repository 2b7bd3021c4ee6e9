"""One timestep of a superloop: cells, systems and the feedback between them; itself a Builder.

::

    u_t     = [input_t ; r_t^1 ; ... ; r_t^K]                 r_0 = 0
    h_t     = cells(u_t)
    c_t^k   = W_k h_t + b_k                                   the control of system k
    r_{t+1}^k, m_{t+1}^k = X_k(c_t^k, m_t^k, source_k)
    y_t     = W_y h_t + b_y                                   or W_y [h_t ; r_{t+1}] + b_y

A :class:`Wire` connects a system in another way: after another cell, without feedback, or to read vectors
of the same timestep.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import attrs
import keras
import tensorflow as tf
from keras import ops

from superloop_core.builder.dtypes import addressing_dtype, dtype_policy
from superloop_core.builder.keras_cell import check_built, may_jit
from superloop_core.builder.layer_names import LayerNames
from superloop_core.builder.noise import noise_of, noise_of_part
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor, paths_of
from superloop_core.builder.system import System
from superloop_core.errors import ConfigError, SuperloopError
from superloop_core.loop.contract import take_step
from superloop_core.loop.views import labels_of, views_of
from superloop_core.names import (
    CONTROL,
    NORM,
    OUTPUTS,
    READ,
    cell_path,
    is_loss,
    join,
    read_path,
    source_name,
)
from superloop_core.system_settings import Source, as_source
from superloop_core.traces import TraceView


class LoopState(NamedTuple):
    """What goes from one timestep to the next."""

    cells: tuple[State, ...]
    systems: tuple[State, ...]  # (): of one that shares another's memory
    reads: tuple[Tensor, ...]  # the read vector of each system: (batch, output_size); (): without feedback


class PerPart(NamedTuple):
    """One thing for each cell and each system: their constants, or what they prepare."""

    cells: tuple[Any, ...]
    systems: tuple[Any, ...]


@attrs.frozen(kw_only=True)
class Wire:
    """How a system is connected to the cells, and to other systems.

    Args:
        cell: number of the cell whose output is its control; -1: the last.
        feedback: whether the first cell reads its read vector at the next timestep.
        feedforward: whether what follows the cell reads its read vector in the same timestep: the next cell,
            or the projection to the outputs.
        reads: ids of systems whose read vectors of this timestep its control also depends on.
        shares: id of the system whose memory and weights it has; empty: it has its own.
    """

    cell: int = -1
    feedback: bool = True
    feedforward: bool = False
    reads: tuple[str, ...] = ()
    shares: str = ""


class Wiring(keras.layers.Layer, Builder):  # type: ignore[misc]
    """Cells and systems wired into one timestep.

    Args:
        cells: the stack of recurrent cells, from the input up.
        systems: the external systems by id; their sources are named ``<id>_<source>``. They take their steps
            in this order, those of a lower cell first.
        wires: how systems are connected, by id; others as ``Wire()``.
        residual: numbers of the cells to whose output the output of the cell below is added; of the first
            cell, the external input.
        normalized: numbers of the cells whose input is normalized (LayerNorm).
        think_steps: further steps in each timestep, with an external input of zeros. The output and
            the traces are those of the last; traces of states are from before the first.
        outputs: size of the output; 0: the last cell's output, unprojected.
        outputs_read_systems: whether the output at t also reads the read vectors of t + 1.
        learned: paths of the parts of the state at t = 0 that are learned: ``cells.0``, ``tape``,
            ``tape.read``. What is learned is an offset, the same for all batch elements; it starts at 0.
        control_weights: arguments of the projections to the controls, such as ``kernel_regularizer``; the
            initializers are otherwise those of each system.
        output_weights: arguments of the projection to the outputs.
        layer_names: counters of the names of layers that the parts make in ``build``.
    """

    def __init__(
        self,
        cells: Iterable[Builder],
        systems: Mapping[str, System[Any]],
        *,
        wires: Mapping[str, Wire] = MappingProxyType({}),
        residual: Collection[int] = (),
        normalized: Collection[int] = (),
        think_steps: int = 0,
        outputs: int = 0,
        outputs_read_systems: bool = False,
        learned: Iterable[str] = (),
        control_weights: Mapping[str, Any] = MappingProxyType({}),
        output_weights: Mapping[str, Any] = MappingProxyType({}),
        layer_names: LayerNames | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.cells = tuple(cells)
        self.ids = tuple(systems)
        self.systems = tuple(systems.values())
        self.wires = tuple(wires.get(id, Wire()) for id in self.ids)
        # The systems that each cell's output controls, by number; and whose read vectors follow it.
        of_cell = [wire.cell % len(self.cells) for wire in self.wires]
        self._controlled = tuple(
            tuple(k for k, cell in enumerate(of_cell) if cell == index) for index in range(len(self.cells))
        )
        self._fed_back = tuple(k for k, wire in enumerate(self.wires) if wire.feedback)
        self._owners = tuple(
            self.ids.index(wire.shares) if wire.shares else k for k, wire in enumerate(self.wires)
        )
        self._residual = tuple(residual)
        self.norms = tuple(
            keras.layers.LayerNormalization(name=f"norm_{index}") if index in normalized else None
            for index in range(len(self.cells))
        )
        self.think_steps = think_steps
        parts = (*self.cells, *self.systems)
        self.supports_jit = all(map(may_jit, parts))
        self.stochastic = max((part.stochastic for part in parts), key=(False, "training", True).index)
        self.outputs_read_systems = outputs_read_systems
        self.feedback_size = sum(self.systems[k].output_size for k in self._fed_back)
        self.output_size = outputs or self.cells[-1].output_size
        self.learned = tuple(learned)
        self._layer_names = layer_names or LayerNames()
        self.controls = tuple(
            keras.layers.Dense(
                system.control_size,
                name=f"control_{id}",
                **{
                    "kernel_initializer": _own(system.control_kernel_initializer),
                    "bias_initializer": _own(system.control_bias_initializer),
                    **{name: _own(value) for name, value in control_weights.items()},
                },
            )
            for id, system in zip(self.ids, self.systems, strict=True)
        )
        self.projection = keras.layers.Dense(outputs, name=OUTPUTS, **output_weights) if outputs else None
        self.offsets: Mapping[str, Mapping[str, Any]] = MappingProxyType({})  # learned weights, by path

    @property
    def sources(self) -> dict[str, Source]:
        """All sources by full name, without the batch axis; those of nested loops included."""
        of_cells = {name: as_source(shape) for cell in self.cells for name, shape in cell.sources.items()}
        return of_cells | {
            source_name(id, name): as_source(shape)
            for k, (id, system) in enumerate(zip(self.ids, self.systems, strict=True))
            if self._owners[k] == k
            for name, shape in system.sources.items()
        }

    @property
    def trace_views(self) -> dict[str, TraceView]:
        """What each trace is, by path: the parts' views, and those of the core's own traces."""
        return views_of(self.cells, dict(zip(self.ids, self.systems, strict=True)))

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """Labels for the last axis of traces, by path."""
        return labels_of(self.cells, dict(zip(self.ids, self.systems, strict=True)))

    def parts(self) -> dict[str, Any]:
        """Return what may have weights, by path: ``cells.0``, ``tape``, ``tape.control``, ``outputs``.

        A method: Keras would name the weights of a saved model by a property.
        """
        cells = {cell_path(index): cell for index, cell in enumerate(self.cells)}
        norms = {join(cell_path(i), NORM): norm for i, norm in enumerate(self.norms) if norm is not None}
        controls = {join(id, CONTROL): control for id, control in zip(self.ids, self.controls, strict=True)}
        projection = {} if self.projection is None else {OUTPUTS: self.projection}
        systems = {id: self.systems[k] for k, id in enumerate(self.ids) if self._owners[k] == k}
        return cells | norms | systems | controls | projection

    def build(self, input_size: int) -> None:
        """Make the weights for an external input ``(batch, input_size)``; 0: there is none."""
        self._check_residuals(input_size)
        with self._layer_names.in_use():
            for cell, norm, size in zip(self.cells, self.norms, self.input_sizes(input_size), strict=True):
                if norm is not None:
                    norm.build((None, size))
                with dtype_policy(self.dtype_policy):  # of layers that it makes only now
                    _build(cell, size)
            for k, system in enumerate(self.systems):
                size = self.cells[self.wires[k].cell].output_size
                self.controls[k].build((None, size + self._size_of_reads(self._read_by_control(k))))
                if self._owners[k] == k:
                    with dtype_policy(system.dtype_policy):
                        _build(system, system.control_size)
        if self.projection is not None:
            size = self.cells[-1].output_size
            self.projection.build((None, size + self._size_of_reads(self._read_by_outputs())))
        if self.learned:
            specs = self._by_path(self.state_specs())
            made = {path: self._make_offsets(path, *specs[path]) for path in self.learned}
            self.offsets = MappingProxyType(made)

    def input_sizes(self, input_size: int) -> list[int]:
        """Return the size of each cell's input, for an external input ``(batch, input_size)``."""
        above = (
            cell.output_size + self._size_of_reads(self._fed_forward(index))
            for index, cell in enumerate(self.cells[:-1])
        )
        return [input_size + self.feedback_size, *above]

    def initial_state(self, sequence: Sequence) -> LoopState:
        """Return every part's state at t = 0, with the learned offsets, and read vectors of zeros."""
        reads = tuple(
            ops.zeros((sequence.batch_size, system.output_size), dtype=sequence.dtype)
            if wire.feedback
            else ()
            for system, wire in zip(self.systems, self.wires, strict=True)
        )
        state = LoopState(*self._of_parts("initial_state", sequence), reads)
        offsets = {name: offset for of_part in self.offsets.values() for name, offset in of_part.items()}
        tensors = [
            tensor + ops.cast(offsets[name], tensor.dtype) if name in offsets else tensor
            for name, tensor in zip(self.state_names(state), tf.nest.flatten(state), strict=True)
        ]
        packed: LoopState = tf.nest.pack_sequence_as(state, tensors)
        return packed

    def with_feedback(self, state: LoopState, feedback: Tensor) -> LoopState:
        """Return ``state`` with the read vectors set to ``feedback``, ``(batch, feedback_size)``."""
        ends = list(accumulate(self.systems[k].output_size for k in self._fed_back))
        reads: list[Any] = list(state.reads)
        for k, start, end in zip(self._fed_back, [0, *ends], ends, strict=False):
            reads[k] = feedback[:, start:end]
        return state._replace(reads=tuple(reads))

    def state_names(self, state: LoopState) -> list[str]:
        """Return the path of each tensor of a state, in the order of ``tf.nest.flatten(state)``."""
        parts = self._by_path(state).items()
        return [name for path, (builder, part) in parts for name in paths_of(path, builder, part)]

    def state_specs(
        self, shapes: Mapping[str, Any] | None = None, *, timesteps: int | Literal["any"] | None = "any"
    ) -> LoopState:
        """Return the state as TensorSpecs, without computing it.

        Args:
            shapes: shapes of sources, the batch axis included, where more is known than the settings say, and
                of optional ones, which are otherwise left out.
            timesteps: their number, for memories that grow with it; ``"any"``: some number; None: unknown,
                which these memories reject.
        """
        sources = self.sources
        known = {name: (None, *source) for name, source in sources.items() if not source.optional}
        known |= shapes or {}

        def start(batch_size: Tensor, number: Tensor, sources: Mapping[str, Tensor]) -> LoopState:
            sequence = Sequence(
                batch_size=batch_size,
                timesteps=number if timesteps == "any" else timesteps,
                lengths=None,
                dtype=self.compute_dtype,
                sources=sources,
                seed=tf.zeros(2, "uint32") if self.stochastic else None,
            )
            return self.initial_state(sequence)

        dtypes = {"float": addressing_dtype(self.dtype_policy)}
        specs_of_sources = {
            name: tf.TensorSpec(shape, dtypes.get(sources[name].dtype, sources[name].dtype))
            for name, shape in known.items()
        }
        scalar = tf.TensorSpec([], "int32")
        traced = tf.function(start, autograph=False).get_concrete_function(scalar, scalar, specs_of_sources)
        specs: LoopState = tf.nest.map_structure(
            lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), traced.structured_outputs
        )
        return specs

    def prepare(self) -> PerPart:
        """Return what every part prepares."""
        systems = (
            system.prepare() if self._owners[k] == k else None for k, system in enumerate(self.systems)
        )
        return PerPart(tuple(cell.prepare() for cell in self.cells), tuple(systems))

    def constants(self, sequence: Sequence) -> PerPart:
        """Return every part's constants."""
        prepared = self.prepare() if sequence.prepared is None else sequence.prepared
        return self._of_parts("constants", attrs.evolve(sequence, prepared=prepared))

    def step(
        self, inputs: Tensor | None, state: LoopState, constants: PerPart
    ) -> tuple[Tensor, LoopState, dict[str, Tensor]]:
        """Take one timestep.

        Returns:
            the output ``(batch, output_size)``, the next state, and the traces by path:
            ``tape.position``, ``cells.0.h`` and ``tape.read`` as the cells saw them, before the step (a read
            vector without feedback: in the step); ``tape.control``, ``tape.weights``, ``cells.0.output`` and
            ``outputs`` as the step made them.

        Raises:
            PluginError: a part's results break the contract of :meth:`Builder.step`.
        """
        names = self.state_names(state) if self.think_steps else ()
        output, state, traces = self._step(inputs, state, constants)
        first, blank = traces, None if inputs is None else ops.zeros_like(inputs)
        for index in range(self.think_steps):
            before = traces
            with noise_of_part(f"think_{index}", ops.shape(output)[0], output.dtype.name):
                output, state, traces = self._step(blank, state, constants)
            traces |= {name: before[name] + loss for name, loss in traces.items() if is_loss(name)}
        return output, state, traces | {name: first[name] for name in names}

    def _step(
        self, inputs: Tensor | None, state: LoopState, constants: PerPart
    ) -> tuple[Tensor, LoopState, dict[str, Tensor]]:
        traces: dict[str, Tensor] = {}
        cells: list[State] = []
        memories = list(state.systems)
        now: list[Tensor] = [()] * len(self.systems)  # the read vectors of this timestep

        h, reads = inputs, [state.reads[k] for k in self._fed_back]
        for index, cell in enumerate(self.cells):
            x = _concatenated([*([] if h is None else [h]), *reads])  # (batch, the size of the cell's input)
            norm = self.norms[index]
            x = x if norm is None else norm(x)
            taken = take_step(cell_path(index), cell, x, state.cells[index], constants.cells[index])
            h = taken.output + h if index in self._residual else taken.output
            cells.append(taken.state)
            traces |= taken.traces
            for k in self._controlled[index]:
                id, system, owner = self.ids[k], self.systems[k], self._owners[k]
                c = self.controls[k](_concatenated([h, *(now[other] for other in self._read_by_control(k))]))
                c = ops.cast(c, system.variable_dtype)  # (batch, control_size)
                taken = take_step(id, system, c, memories[owner], constants.systems[owner], (READ, CONTROL))
                before = state.reads[k] if self.wires[k].feedback else None
                now[k] = ops.cast(taken.output, h.dtype if before is None else before.dtype)
                memories[owner] = taken.state
                traces |= taken.traces | {read_path(id): now[k] if before is None else before}
                traces[join(id, CONTROL)] = c
            reads = [now[k] for k in self._fed_forward(index)]

        y = h
        if self.projection is not None:
            y = self.projection(_concatenated([h, *(now[k] for k in self._read_by_outputs())]))
        traces[OUTPUTS] = y
        fed_back = tuple(now[k] if wire.feedback else () for k, wire in enumerate(self.wires))
        return y, LoopState(tuple(cells), tuple(memories), fed_back), traces

    def _fed_forward(self, index: int) -> list[int]:
        """Return the systems whose read vectors follow a cell in the same timestep."""
        wires = self.wires
        return [k for k in self._controlled[index] if wires[k].feedforward or not wires[k].feedback]

    def _read_by_control(self, k: int) -> list[int]:
        return [self.ids.index(id) for id in self.wires[k].reads]

    def _read_by_outputs(self) -> list[int]:
        return (
            [*range(len(self.ids))] if self.outputs_read_systems else self._fed_forward(len(self.cells) - 1)
        )

    def _size_of_reads(self, systems: Iterable[int]) -> int:
        return sum(self.systems[k].output_size for k in systems)

    def _check_residuals(self, input_size: int) -> None:
        """Require that a residual connection adds vectors of one size.

        Raises:
            ConfigError: one does not.
        """
        below = [input_size, *(cell.output_size for cell in self.cells)]
        for index in self._residual:
            sizes = below[index], below[index + 1]
            if sizes[0] != sizes[1]:
                of = f"of {cell_path(index - 1)}" if index else "of the external input"
                raise ConfigError(
                    f"{cell_path(index)}: 'residual' adds the output {of}, so their sizes must be equal: "
                    f"{sizes[0]} and {sizes[1]}; set it on the cells above only, or change 'units'"
                )

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Let TensorFlow's checkpoints and SavedModels find every variable.

        Keras finds parts in tuples, and what plugins hold in lists; TensorFlow looks at attributes only.
        """
        children: dict[str, Any] = super()._trackable_children(save_type, **kwargs)
        return children | {f"variable_{index}": variable for index, variable in enumerate(self.variables)}

    def _of_parts(self, method: str, sequence: Sequence) -> PerPart:
        """Call a method of each part with its own sources, masks and preparations; errors name the system."""
        prepared = sequence.prepared or PerPart((None,) * len(self.cells), (None,) * len(self.systems))
        cells, systems = [], []
        with noise_of(sequence.seed, sequence.first_row):
            if self.think_steps:  # a timestep is several steps, so that their number is not that of timesteps
                sequence = attrs.evolve(sequence, timesteps=None, lengths=None)
            for index, cell in enumerate(self.cells):
                with noise_of_part(join(cell_path(index), method), sequence.batch_size, sequence.dtype):
                    own = attrs.evolve(sequence, prepared=prepared.cells[index])
                    cells.append(getattr(cell, method)(own))
            for k, (id, system) in enumerate(zip(self.ids, self.systems, strict=True)):
                if self._owners[k] != k:
                    systems.append(())
                    continue
                full = {name: source_name(id, name) for name in system.sources}
                own = attrs.evolve(
                    sequence,
                    sources={
                        name: sequence.sources[of] for name, of in full.items() if of in sequence.sources
                    },
                    masks={name: sequence.masks[of] for name, of in full.items() if of in sequence.masks},
                    prepared=prepared.systems[k],
                )
                if self._owners.count(k) > 1:  # several steps in a timestep here too
                    own = attrs.evolve(own, timesteps=None, lengths=None)
                try:
                    with noise_of_part(join(id, method), sequence.batch_size, system.variable_dtype):
                        systems.append(getattr(system, method)(own))
                except SuperloopError as error:
                    raise type(error)(f"{id}: {error}") from error
        return PerPart(tuple(cells), tuple(systems))

    def _by_path(self, state: LoopState) -> dict[str, tuple[Builder | None, State]]:
        """Return every part and its state, in the order of ``tf.nest.flatten``; no part for a read vector."""
        cells = {cell_path(i): (cell, state.cells[i]) for i, cell in enumerate(self.cells)}
        systems = {
            id: (self.systems[k], state.systems[k]) for k, id in enumerate(self.ids) if self._owners[k] == k
        }
        reads = {read_path(self.ids[k]): (None, state.reads[k]) for k in self._fed_back}
        return {**cells, **systems, **reads}

    def _make_offsets(self, path: str, builder: Builder | None, specs: State) -> Mapping[str, Any]:
        """Make the weights of one part's learned initial state, for its floating tensors."""
        fields = builder.learned_fields if isinstance(builder, System) else None
        weights, reason = {}, "nothing of its state can be learned"
        for name, spec in paths_of(path, builder, specs).items():
            field = name.removeprefix(f"{path}.").partition(".")[0]
            if fields is not None and field not in fields:
                continue
            if not spec.dtype.is_floating:
                reason = "a complex state cannot be learned" if spec.dtype.is_complex else reason
                continue
            if not spec.shape[1:].is_fully_defined():
                raise ConfigError(
                    f"{name}: cannot be learned, since its size is not in the settings: {spec.shape}"
                )
            weights[name] = self.add_weight(shape=spec.shape[1:], initializer="zeros", name=f"initial_{name}")
        if not weights:
            raise ConfigError(f"{path}: {reason}; leave out its 'learn_initial_state'")
        return MappingProxyType(weights)


def _build(part: Builder, input_size: int) -> None:
    """Make the weights of a part; an object of the user's may have them already."""
    if getattr(part, "built", False):
        check_built(part, input_size)
    else:
        part.build(input_size)


def _concatenated(tensors: list[Tensor]) -> Tensor:
    return ops.concatenate(tensors, axis=-1) if len(tensors) > 1 else tensors[0]


def _own(initializer: Any) -> Any:
    """An initializer with a seed of its own; one that is shared would draw the same numbers each time."""
    return initializer.clone() if isinstance(initializer, keras.initializers.Initializer) else initializer
