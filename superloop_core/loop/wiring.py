"""One timestep of a superloop: cells, systems and the feedback between them; itself a Builder.

::

    u_t     = [input_t ; r_t^1 ; ... ; r_t^K]                 r_0 = 0
    h_t     = cells(u_t)
    c_t^k   = W_k h_t + b_k                                   the control of system k
    r_{t+1}^k, m_{t+1}^k = X_k(c_t^k, m_t^k, source_k)
    y_t     = W_y h_t + b_y                                   or W_y [h_t ; r_{t+1}] + b_y
"""

from collections.abc import Iterable, Mapping
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
from superloop_core.names import CONTROL, OUTPUTS, READ, cell_path, join, read_path, source_name
from superloop_core.system_settings import Source, as_source
from superloop_core.traces import TraceView


class LoopState(NamedTuple):
    """What goes from one timestep to the next."""

    cells: tuple[State, ...]
    systems: tuple[State, ...]
    reads: tuple[Tensor, ...]  # the read vector of each system: (batch, output_size)


class PerPart(NamedTuple):
    """One thing for each cell and each system: their constants, or what they prepare."""

    cells: tuple[Any, ...]
    systems: tuple[Any, ...]


class Wiring(keras.layers.Layer, Builder):  # type: ignore[misc]
    """Cells and systems wired into one timestep.

    Args:
        cells: the stack of recurrent cells, from the input up.
        systems: the external systems by id; their sources are named ``<id>_<source>``.
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
        parts = (*self.cells, *self.systems)
        self.supports_jit = all(map(may_jit, parts))
        self.stochastic = max((part.stochastic for part in parts), key=(False, "training", True).index)
        self.outputs_read_systems = outputs_read_systems
        self.feedback_size = sum(system.output_size for system in self.systems)
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
            for id, system in zip(self.ids, self.systems, strict=True)
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
        controls = {join(id, CONTROL): control for id, control in zip(self.ids, self.controls, strict=True)}
        projection = {} if self.projection is None else {OUTPUTS: self.projection}
        return cells | dict(zip(self.ids, self.systems, strict=True)) | controls | projection

    def build(self, input_size: int) -> None:
        """Make the weights for an external input ``(batch, input_size)``; 0: there is none."""
        size = input_size + self.feedback_size
        with self._layer_names.in_use():
            for cell in self.cells:
                with dtype_policy(self.dtype_policy):  # of layers that it makes only now
                    _build(cell, size)
                size = cell.output_size
            for control, system in zip(self.controls, self.systems, strict=True):
                control.build((None, size))
                with dtype_policy(system.dtype_policy):
                    _build(system, system.control_size)
        if self.projection is not None:
            self.projection.build((None, size + self.feedback_size * self.outputs_read_systems))
        if self.learned:
            specs = self._by_path(self.state_specs())
            made = {path: self._make_offsets(path, *specs[path]) for path in self.learned}
            self.offsets = MappingProxyType(made)

    def initial_state(self, sequence: Sequence) -> LoopState:
        """Return every part's state at t = 0, with the learned offsets, and read vectors of zeros."""
        reads = tuple(
            ops.zeros((sequence.batch_size, system.output_size), dtype=sequence.dtype)
            for system in self.systems
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
        ends = list(accumulate(system.output_size for system in self.systems))
        reads = [feedback[:, start:end] for start, end in zip([0, *ends], ends, strict=False)]
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
        return PerPart(*(tuple(part.prepare() for part in parts) for parts in (self.cells, self.systems)))

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
            ``tape.position``, ``cells.0.h`` and ``tape.read`` as the cells saw them, before the step;
            ``tape.control``, ``tape.weights``, ``cells.0.output`` and ``outputs`` as the step made them.

        Raises:
            PluginError: a part's results break the contract of :meth:`Builder.step`.
        """
        traces: dict[str, Tensor] = {}
        cells, systems, reads = [], [], []

        u = _concatenated([*([] if inputs is None else [inputs]), *state.reads])
        h = u  # (batch, input_size + feedback_size), and then the size of each cell
        for index, cell in enumerate(self.cells):
            taken = take_step(cell_path(index), cell, h, state.cells[index], constants.cells[index])
            h = taken.output
            cells.append(taken.state)
            traces |= taken.traces

        for k, (id, system) in enumerate(zip(self.ids, self.systems, strict=True)):
            c = ops.cast(self.controls[k](h), system.variable_dtype)  # (batch, control_size)
            taken = take_step(id, system, c, state.systems[k], constants.systems[k], (READ, CONTROL))
            reads.append(ops.cast(taken.output, state.reads[k].dtype))
            systems.append(taken.state)
            traces |= taken.traces | {read_path(id): state.reads[k], join(id, CONTROL): c}

        y = h
        if self.projection is not None:
            y = self.projection(_concatenated([h, *(reads if self.outputs_read_systems else [])]))
        traces[OUTPUTS] = y
        return y, LoopState(tuple(cells), tuple(systems), tuple(reads)), traces

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
            for index, cell in enumerate(self.cells):
                with noise_of_part(join(cell_path(index), method), sequence.batch_size, sequence.dtype):
                    own = attrs.evolve(sequence, prepared=prepared.cells[index])
                    cells.append(getattr(cell, method)(own))
            for k, (id, system) in enumerate(zip(self.ids, self.systems, strict=True)):
                full = {name: source_name(id, name) for name in system.sources}
                own = attrs.evolve(
                    sequence,
                    sources={
                        name: sequence.sources[of] for name, of in full.items() if of in sequence.sources
                    },
                    masks={name: sequence.masks[of] for name, of in full.items() if of in sequence.masks},
                    prepared=prepared.systems[k],
                )
                try:
                    with noise_of_part(join(id, method), sequence.batch_size, system.variable_dtype):
                        systems.append(getattr(system, method)(own))
                except SuperloopError as error:
                    raise type(error)(f"{id}: {error}") from error
        return PerPart(tuple(cells), tuple(systems))

    def _by_path(self, state: LoopState) -> dict[str, tuple[Builder | None, State]]:
        """Return every part and its state, in the order of ``tf.nest.flatten``; no part for a read vector."""
        ids, count = self.ids, len(self.cells)
        paths = [*map(cell_path, range(count)), *ids, *map(read_path, ids)]
        builders = [*self.cells, *self.systems, *(None for _ in ids)]
        states = [*state.cells, *state.systems, *state.reads]
        return dict(zip(paths, zip(builders, states, strict=True), strict=True))

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
