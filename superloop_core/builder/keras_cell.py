"""Keras RNN cells, adapted to the Builder protocol."""

from collections import namedtuple
from typing import Any

import keras

from superloop_core.builder.dtypes import dtype_policy
from superloop_core.builder.protocol import Sequence, State, Tensor


class KerasCell(keras.layers.Layer):  # type: ignore[misc]
    """A Keras RNN cell as a Builder.

    Args:
        cell: any Keras RNN cell. Its states are named by its ``state_names`` if it has such, else
            ``h``, or ``h`` and ``c``, or ``0``, ``1``, ... What its ``prepare()`` returns, if it has
            one, is computed once for all timesteps, and given to its ``call`` as ``prepared``.
    """

    def __init__(self, cell: keras.layers.Layer):
        super().__init__(dtype=cell.dtype_policy, autocast=False)
        self.cell = cell
        self.supports_jit = cell.supports_jit
        sizes = keras.tree.flatten(cell.state_size)
        names = getattr(cell, "state_names", ("h", "c")[: len(sizes)])
        named = len(names) == len(sizes)
        self._state: Any = namedtuple("CellState", names)._make if named else tuple  # type: ignore
        self.output_size = getattr(cell, "output_size", sizes[0])

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

    def constants(self, sequence: Sequence) -> Any:
        """Draw the dropout masks, which drawn in the loop would leak out of its scope; prepare the cell."""
        masks: dict[str, Any] = {}
        for name, size in (("dropout", self.input_size), ("recurrent_dropout", self.output_size)):
            draw = getattr(self.cell, f"get_{name}_mask", None)
            if sequence.training and draw is not None and getattr(self.cell, name):
                like = keras.ops.zeros((sequence.batch_size, size), dtype=sequence.dtype)
                _forget_masks(self.cell)
                masks[f"_{name}_mask"] = draw(like)
                _forget_masks(self.cell)
        prepare = getattr(self.cell, "prepare", None)
        prepared = {} if prepare is None else {"prepared": sequence.once(id(self), prepare)}
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


def _forget_masks(cell: keras.layers.Layer) -> None:
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
