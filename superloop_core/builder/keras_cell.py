"""Adapters: Keras RNN cells, and objects with the methods of a Builder, as Builders."""

from collections import namedtuple
from typing import Any

import attrs
import keras

from superloop_core.builder.dtypes import dtype_policy
from superloop_core.builder.noise import draw_uniform
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor, structure_names
from superloop_core.errors import PluginError, SourceError, short_repr

METHODS = ("build", "initial_state", "constants", "step", "output_size")  # of a Builder


def as_builder(cell: Any) -> Builder | None:
    """Return what a cell's factory made as a Builder; None where it is neither that nor a Keras RNN cell."""
    if isinstance(cell, Builder):
        return cell
    if isinstance(cell, keras.layers.Layer) and hasattr(cell, "state_size"):
        return KerasCell(cell)
    return _completed(cell) if all(hasattr(cell, name) for name in METHODS) else None


@attrs.frozen
class _StateSpec:
    """The shape of a tensor of a state, without the batch axis."""

    shape: tuple[int, ...]


class KerasCell(keras.layers.Layer, Builder):  # type: ignore[misc]
    """A Keras RNN cell as a Builder.

    Args:
        cell: any Keras RNN cell. Its attribute ``state_names``, if it has one, names its states; else
            they are ``h``, or ``h`` and ``c``, or ``0``, ``1``, ... The result of its ``prepare()``, if it
            has one, is computed once for all timesteps and passed to its ``call`` as ``prepared``.
    """

    def __init__(self, cell: keras.layers.Layer):
        super().__init__(dtype=cell.dtype_policy)
        self.cell = cell
        self.supports_jit = may_jit(cell)
        drops = any(
            getattr(one, name, 0) for one in _cells_of(cell) for name in ("dropout", "recurrent_dropout")
        )
        self.stochastic = "training" if drops else False
        stacked = isinstance(cell, keras.layers.StackedRNNCells)  # whose tuples are states of one cell
        self._states = _state_specs(cell.state_size, stacked)
        self._shapes = [spec.shape for spec in keras.tree.flatten(self._states)]
        names = getattr(cell, "state_names", ("h", "c")[: len(self._shapes)])
        named = len(names) == len(self._shapes)
        made: Any = namedtuple("CellState", names) if named else None  # type: ignore[misc]
        self._state: Any = made._make if named else tuple
        self.output_size = _output_size(cell)

    @property
    def label(self) -> str:
        """The name of the Keras cell's class."""
        return type(self.cell).__name__

    def build(self, input_size: int) -> None:
        """Make the cell's weights for inputs ``(batch, input_size)``."""
        self.input_size = input_size
        if self.cell.built:
            check_built(self.cell, input_size)
        else:
            with dtype_policy(self.cell.dtype_policy):  # of layers that it makes only now
                self.cell.build((None, input_size))

    def initial_state(self, sequence: Sequence) -> State:
        """Return the cell's own initial state, or zeros; a NamedTuple, or a tuple where it has no names."""
        start = getattr(self.cell, "get_initial_state", None)
        if start is not None:
            return self._state(keras.tree.flatten(start(batch_size=sequence.batch_size)))
        dtype = self.cell.compute_dtype
        shapes = [(sequence.batch_size, *shape) for shape in self._shapes]
        return self._state([keras.ops.zeros(shape, dtype=dtype) for shape in shapes])

    def prepare(self) -> dict[str, Any]:
        """Return the arguments of the cell's ``call`` that depend on its weights alone."""
        prepare = getattr(self.cell, "prepare", None)
        return {} if prepare is None else {"prepared": prepare()}

    def constants(self, sequence: Sequence) -> Any:
        """Draw the dropout masks, once for all timesteps."""
        masks, size = [], self.input_size
        for cell in _cells_of(self.cell):
            masks.append(_dropout_masks(cell, size, sequence.dtype) if sequence.training else {})
            size = _output_size(cell)
        prepared = self.prepare() if sequence.prepared is None else sequence.prepared
        return sequence.training, masks, prepared

    def step(self, inputs: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Call the cell once."""
        training, masks, prepared = constants
        for cell, of_cell in zip(_cells_of(self.cell), masks, strict=True):
            for name, mask in of_cell.items():
                setattr(cell, name, mask)
        states = keras.tree.pack_sequence_as(self._states, list(state))
        states = states if keras.tree.is_nested(states) else [states]
        with dtype_policy(self.cell.dtype_policy):
            output, state = self.cell(inputs, states, training=training, **prepared)
        for cell, of_cell in zip(_cells_of(self.cell), masks, strict=True):
            for name in of_cell:
                setattr(cell, name, None)
        return output, self._state(keras.tree.flatten(state)), {"output": output}


def check_built(part: keras.layers.Layer, input_size: int) -> None:
    """Check that a layer with weights can take inputs of a size.

    Raises:
        SourceError: it was built for another size.
    """
    shapes = (part.get_build_config() or {}).values()
    sizes = [shape if isinstance(shape, int) else shape[-1] for shape in shapes if shape][:1]
    if sizes and sizes[0] not in (None, input_size):
        raise SourceError(
            f"{part.name}: has weights for inputs of size {sizes[0]}, but its place in the loop gives it "
            f"{input_size}: the loop's inputs or the cell below, and all read vectors for the first cell"
        )


def may_jit(part: Any) -> bool:
    """Whether XLA can compile a part; Keras's layers overwrite what their class says."""
    return bool(part.supports_jit and getattr(type(part), "supports_jit", True))


def _state_specs(size: Any, stacked: bool, inner: bool = False) -> Any:
    """Return a Keras cell's nest of states, with their shapes without the batch axis.

    A number is the size of a vector; a tuple of numbers within a list is a shape: ``[(3, 4)]`` is a matrix.
    """
    if type(size) is int and size > 0:
        return _StateSpec((size,))
    if inner and not stacked and isinstance(size, tuple) and all(isinstance(one, int) for one in size):
        return _StateSpec(size)
    if not isinstance(size, list | tuple):
        what = "'state_size' must be a number >= 1, or a list of numbers and shapes, which may be empty"
        raise PluginError(f"{what}: {short_repr(size)}")
    return [_state_specs(one, stacked, inner=True) for one in size]


def _cells_of(cell: keras.layers.Layer) -> tuple[keras.layers.Layer, ...]:
    """The cells that may have dropout; no attribute, under which Keras would save them once more."""
    return tuple(cell.cells) if isinstance(cell, keras.layers.StackedRNNCells) else (cell,)


def _output_size(cell: keras.layers.Layer) -> int:
    sizes = keras.tree.flatten(cell.state_size)
    if not sizes and getattr(cell, "output_size", None) is None:
        raise PluginError(f"{type(cell).__name__}: a cell without a state must say its 'output_size'")
    return int(getattr(cell, "output_size", sizes[0] if sizes else 0))


def _dropout_masks(cell: keras.layers.Layer, input_size: int, dtype: str) -> dict[str, Any]:
    """Draw a Keras cell's masks, as values of its attributes: each ``(batch, size)``, and keeps the mean."""
    masks: dict[str, Any] = {}
    count = getattr(cell, "dropout_mask_count", None)  # None: one mask, and not in a list
    states = keras.tree.flatten(_state_specs(cell.state_size, stacked=False))
    first = states[0].shape if states else ()  # as RNN draws it
    for name, shape in (("dropout", (input_size,)), ("recurrent_dropout", first)):
        rate = getattr(cell, name, 0) if hasattr(cell, f"get_{name}_mask") else 0
        if rate:
            kept = [draw_uniform(shape) >= rate for _ in range(count or 1)]
            drawn = [keras.ops.cast(one, dtype) / ((1 - rate) or 1) for one in kept]
            masks[f"_{name}_mask"] = drawn[0] if count is None else drawn
    return masks


def _completed(made: Any) -> Any:
    """Return an object with the methods of a Builder that does not derive from it, with the defaults."""
    defaults = {
        "label": type(made).__name__,
        "sources": {},
        "supports_jit": True,
        "stochastic": False,
        "prepare": lambda: None,
        "state_names": structure_names,
        "trace_views": {},
    }
    for name, default in defaults.items():
        if not hasattr(made, name):
            setattr(made, name, default)
    return made
