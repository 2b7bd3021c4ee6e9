"""Builder, the protocol of whatever can take one timestep; System, its form for external systems.

A Builder makes its weights once, in ``build``, and wires the same weights into one more timestep each
time ``step`` is called. A timestep is a Mealy machine: the state at t = 0 is ``initial_state``, never
an ``if`` in ``step``.
"""

import abc
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import attrs
import keras

from superloop_core.plugin import SystemSettings

Tensor = Any
State = Any  # a NamedTuple of tensors, flat or nested; the batch is every tensor's first axis


@attrs.frozen(kw_only=True, eq=False)
class Sequence:
    """What is known of a batch of sequences before the loop starts.

    Args:
        batch_size: rows; an int, or a scalar tensor where it is not known yet.
        timesteps: timesteps, padding included; an int, a scalar tensor, or None where there is no saying
            (in a session, in a cell of ``keras.layers.RNN``).
        lengths: valid timesteps of each row, ``(batch,)`` of int32; None where there is no saying.
        dtype: what inputs, cells' states and outputs are computed in.
        sources: what the systems read besides their control, by name; zeros where it is masked.
        masks: of the sources that have one, which slots are valid, ``(batch, slots)`` of bool, by name.
            A system whose answer zeros would change, such as one that weighs slots by softmax, reads it.
        training: whether to train: dropout is drawn.
    """

    batch_size: Any
    timesteps: Any
    lengths: Tensor
    dtype: str
    sources: Mapping[str, Tensor] = attrs.field(factory=dict)
    masks: Mapping[str, Tensor] = attrs.field(factory=dict)
    training: bool = False
    _computed: dict[Any, Any] = attrs.field(factory=dict, alias="computed", repr=False)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what ``compute()`` gives, computed once for all parts that the rows are split in.

        For what the rows have no part in: weights laid out for the steps.
        """
        if key not in self._computed:
            self._computed[key] = compute()
        return self._computed[key]


class Builder(Protocol):
    """What can take one timestep, as often as there are timesteps, with the same weights."""

    output_size: int

    @property
    def variables(self) -> Any:
        """The weights, which ``step`` reads; a Keras layer has them."""

    def build(self, input_size: int) -> None:
        """Make the weights, once."""

    def initial_state(self, sequence: Sequence) -> State:
        """Return the state at t = 0."""

    def constants(self, sequence: Sequence) -> Any:
        """Return what every timestep of a sequence shares, computed once, before the loop."""

    def step(self, inputs: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take one timestep.

        Pure: it makes no weights, keeps nothing on ``self`` and has no side effects.

        Args:
            inputs: ``(batch, input_size)``.
            state: as ``initial_state`` or the step before gave it.
            constants: as ``constants`` gave them.

        Returns:
            the output ``(batch, output_size)``; the next state, of the same structure, shapes and
            dtypes; and the tensors worth seeing, by name.
        """


class System(keras.layers.Layer, abc.ABC):  # type: ignore[misc]
    """The base of external systems: what the superloop goes through.

    A system is a Builder whose input is its control, ``(batch, control_size)``: the core projects the
    last cell's output to it. Its answer is fed back to the cells at the next timestep. It computes in
    float32 at least, whatever the dtype policy is, since positions and addresses are inexact in less.

    Args:
        config: the settings, which tell ``control_size``, ``output_size`` and ``sources``.
    """

    # How the projection that gives the control starts. A random initializer is made in __init__: one made
    # with the class would draw its seed when the plugin is imported, once for all.
    control_kernel_initializer: Any = "glorot_uniform"
    control_bias_initializer: Any = "zeros"
    # Fields of the state that may be learned at t = 0; None: all. What must stay on a simplex, such as a
    # weighting, is none of them.
    learned_fields: Collection[str] | None = None

    def __init__(self, config: SystemSettings):
        super().__init__(dtype=addressing_dtype(keras.config.dtype_policy()), autocast=False)
        self.config = config
        self.control_size = config.control_size
        self.output_size = config.output_size

    @property
    def slot_names(self) -> Mapping[str, tuple[str, ...]]:
        """What the last axis of a trace holds, for pictures: ``{"actions": ("push", "pop")}``, say."""
        return {}

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Add a weight that mixed precision leaves in its own dtype."""
        return super().add_weight(*args, **({"autocast": False} | kwargs))

    def build(self, input_size: int) -> None:
        """Make the weights; a system without any inherits this."""
        del input_size

    @abc.abstractmethod
    def initial_state(self, sequence: Sequence) -> State:
        """Return the empty memory, a NamedTuple of tensors ``(batch, ...)``; its fields name traces."""

    def constants(self, sequence: Sequence) -> Any:
        """Return what every timestep shares: ``sequence.sources``, unless there is more to prepare."""
        return sequence.sources

    @abc.abstractmethod
    def step(self, control: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take the system's part of one timestep: see :meth:`Builder.step`.

        Args:
            control: ``(batch, control_size)``, not squashed yet.
            state: the memory before the step.
            constants: as :meth:`constants` gave them.

        Returns:
            the answer ``(batch, output_size)``, the memory after the step, and named tensors.
        """


def addressing_dtype(policy: keras.DTypePolicy) -> str:
    """What systems compute in, and sources are given in, under a dtype policy: float32 at least."""
    return "float64" if policy.variable_dtype == "float64" else "float32"


@contextmanager
def dtype_policy(policy: Any) -> Iterator[None]:
    """Let layers that are made within have a policy; None: Keras's global one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


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
