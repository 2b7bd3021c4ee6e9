"""Adapters: Keras RNN cells, and objects with the methods of a Builder, as Builders."""

from collections import namedtuple
from typing import Any

import keras

from superloop_core.builder.dtypes import dtype_policy
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor, structure_names

METHODS = ("build", "initial_state", "constants", "step", "output_size")  # of a Builder


def as_builder(cell: Any) -> Builder | None:
    """Return what a cell's factory made as a Builder; None where it is neither that nor a Keras RNN cell."""
    if isinstance(cell, Builder):
        return cell
    if isinstance(cell, keras.layers.Layer) and hasattr(cell, "state_size"):
        return KerasCell(cell)
    return _completed(cell) if all(hasattr(cell, name) for name in METHODS) else None


class KerasCell(keras.layers.Layer, Builder):  # type: ignore[misc]
    """A Keras RNN cell as a Builder.

    Args:
        cell: any Keras RNN cell. Its attribute ``state_names``, if it has one, names its states; else
            they are ``h``, or ``h`` and ``c``, or ``0``, ``1``, ... The result of its ``prepare()``, if it
            has one, is computed once for all timesteps and passed to its ``call`` as ``prepared``.
    """

    def __init__(self, cell: keras.layers.Layer):
        super().__init__(dtype=cell.dtype_policy, autocast=False)
        self.cell = cell
        self.supports_jit = cell.supports_jit
        sizes = keras.tree.flatten(cell.state_size)
        names = getattr(cell, "state_names", ("h", "c")[: len(sizes)])
        named = len(names) == len(sizes)
        made: Any = namedtuple("CellState", names) if named else None  # type: ignore[misc]
        self._state: Any = made._make if named else tuple
        self.output_size = getattr(cell, "output_size", sizes[0])

    @property
    def label(self) -> str:
        """The name of the Keras cell's class."""
        return type(self.cell).__name__

    def build(self, input_size: int) -> None:
        """Make the cell's weights for inputs ``(batch, input_size)``."""
        self.input_size = input_size
        if not self.cell.built:
            with dtype_policy(self.cell.dtype_policy):  # of layers that it makes only now
                self.cell.build((None, input_size))

    def initial_state(self, sequence: Sequence) -> State:
        """Return the cell's own initial state, or zeros; a NamedTuple, or a tuple where it has no names."""
        start = getattr(self.cell, "get_initial_state", None)
        if start is not None:
            return self._state(keras.tree.flatten(start(batch_size=sequence.batch_size)))
        sizes = keras.tree.flatten(self.cell.state_size)
        shapes = [(sequence.batch_size, size) for size in sizes]
        return self._state([keras.ops.zeros(shape, dtype=self.cell.compute_dtype) for shape in shapes])

    def prepare(self) -> dict[str, Any]:
        """Return the arguments of the cell's ``call`` that depend on its weights alone."""
        prepare = getattr(self.cell, "prepare", None)
        return {} if prepare is None else {"prepared": prepare()}

    def constants(self, sequence: Sequence) -> Any:
        """Draw the dropout masks: drawn inside the loop they would leak out of its scope."""
        masks: dict[str, Any] = {}
        first_state = keras.tree.flatten(self.cell.state_size)[0]  # as keras.layers.RNN draws it
        for name, size in (("dropout", self.input_size), ("recurrent_dropout", first_state)):
            draw = getattr(self.cell, f"get_{name}_mask", None)
            if sequence.training and draw is not None and getattr(self.cell, name):
                like = keras.ops.zeros((sequence.batch_size, size), dtype=sequence.dtype)
                _forget_masks(self.cell)
                masks[f"_{name}_mask"] = draw(like)
                _forget_masks(self.cell)
        prepared = self.prepare() if sequence.prepared is None else sequence.prepared
        return sequence.training, masks, prepared

    def step(self, inputs: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Call the cell once."""
        training, masks, prepared = constants
        for name, mask in masks.items():
            setattr(self.cell, name, mask)
        states = keras.tree.pack_sequence_as(self.cell.state_size, list(state))
        states = states if keras.tree.is_nested(states) else [states]
        with dtype_policy(self.cell.dtype_policy):
            output, state = self.cell(inputs, states, training=training, **prepared)
        if masks:
            _forget_masks(self.cell)
        return output, self._state(keras.tree.flatten(state)), {"output": output}


def _completed(made: Any) -> Any:
    """Return an object with the methods of a Builder that does not derive from it, with the defaults."""
    defaults = {
        "label": type(made).__name__,
        "sources": {},
        "supports_jit": True,
        "prepare": lambda: None,
        "state_names": structure_names,
    }
    for name, default in defaults.items():
        if not hasattr(made, name):
            setattr(made, name, default)
    return made


def _forget_masks(cell: keras.layers.Layer) -> None:
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
