"""Builder, the protocol of everything that takes one timestep.

A Builder makes its weights once, in ``build``, and applies the same weights each time ``step`` is called.
A timestep is a Mealy machine: the state at t = 0 is ``initial_state``, never an ``if`` in ``step``.
"""

import abc
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import tensorflow as tf

from superloop_core.errors import SuperloopError
from superloop_core.names import join
from superloop_core.system_settings import Shape
from superloop_core.traces import TraceView

Tensor = Any
State = Any  # a NamedTuple of tensors, flat or nested; the batch is every tensor's first axis


@attrs.frozen(kw_only=True, eq=False)
class Sequence:
    """What is known of a batch of sequences before the loop starts.

    Args:
        batch_size: an int, or a scalar tensor where it is not known yet.
        timesteps: number of timesteps, padding included; an int, a scalar tensor, or None where it is
            unknown (in a session, in a stateful loop, in a cell of ``keras.layers.RNN``).
        lengths: number of valid timesteps of each batch element, ``(batch,)`` of int32; None where it is
            unknown, as above.
        dtype: dtype of inputs, cells' states and outputs.
        sources: what the systems read besides their control, by name; zeros where it is masked.
        masks: for each source that has a mask, which slots are valid, ``(batch, slots)`` of bool. A
            system that zeros would mislead, such as one with a softmax over slots, applies it.
        training: True in training, where dropout is drawn.
        seed: of the noise, ``(2,)`` of uint32; None where no part of the loop is stochastic.
        first_row: number of the first row in its batch, which may be processed in shards.
        prepared: the result of the Builder's ``prepare``; None: not computed yet.
    """

    batch_size: Any
    timesteps: Any
    lengths: Tensor
    dtype: str
    sources: Mapping[str, Tensor] = attrs.field(factory=dict)
    masks: Mapping[str, Tensor] = attrs.field(factory=dict)
    training: bool = False
    seed: Any = None
    first_row: Any = 0
    prepared: Any = None

    def timesteps_for(self, setting: str) -> Any:
        """Return the number of timesteps, for a memory that is as large as they need where a setting is 0.

        Raises:
            SuperloopError: it is not known.
        """
        if self.timesteps is None:
            raise SuperloopError(
                f"{setting} = 0 means as many as the timesteps need, whose number is not known here, as in "
                "a session without 'timesteps', a stateful loop, a memory that is shared or that thinks: "
                f"set {setting!r}"
            )
        return self.timesteps


class Builder(abc.ABC):
    """Takes one timestep at a time, with the same weights each time.

    Cells, systems and whole loops are Builders. A subclass gives ``output_size``, ``variables`` and the four
    abstract methods; the rest has defaults.

    Attributes:
        output_size: size of the output of a step.
        supports_jit: False where XLA cannot compile a step.
        stochastic: whether it draws noise, with :func:`~superloop_core.draw_uniform` and the like;
            ``"training"``: in training only.
    """

    output_size: int
    supports_jit: bool = True
    stochastic: bool | Literal["training"] = False

    @property
    @abc.abstractmethod
    def variables(self) -> Any:
        """The weights that ``step`` reads; a Keras layer has them."""

    @property
    def sources(self) -> Mapping[str, Shape]:
        """Shapes of what it reads besides its input, by name, without the batch axis."""
        return {}

    @property
    def trace_views(self) -> Mapping[str, TraceView]:
        """What each trace is, by name, for pictures: a dict on the class, or a property."""
        return {}

    @property
    def label(self) -> str:
        """The name that error messages use: the class of the plugin's object."""
        return type(self).__name__

    @abc.abstractmethod
    def build(self, input_size: int) -> None:
        """Make the weights, once."""

    @abc.abstractmethod
    def initial_state(self, sequence: Sequence) -> State:
        """Return the state at t = 0."""

    def prepare(self) -> Any:
        """Return what depends on the weights alone, computed once for all batch elements and timesteps.

        ``constants`` finds it in ``sequence.prepared``.
        """
        return None

    @abc.abstractmethod
    def constants(self, sequence: Sequence) -> Any:
        """Return what all timesteps of a sequence share, computed once, before the loop."""

    @abc.abstractmethod
    def step(self, inputs: Tensor, state: State, constants: Any) -> tuple[Tensor, State, dict[str, Tensor]]:
        """Take one timestep.

        Pure: it makes no weights, keeps nothing on ``self`` and has no side effects. Two things are allowed,
        as in layers of Keras: an assignment to a weight that is not trained, such as a moving mean, which the
        next timestep reads; and ``add_loss``.

        Args:
            inputs: ``(batch, input_size)``.
            state: the result of ``initial_state`` or of the previous step.
            constants: the result of ``constants``.

        Returns:
            the output ``(batch, output_size)``; the next state, with the same structure, shapes and
            dtypes; and tensors to trace, by name, each ``(batch, ...)``.
        """

    def state_names(self, state: State) -> list[str]:
        """Return the name of each tensor of a state, in the order of ``tf.nest.flatten(state)``.

        Fields name tensors, nested ones with dots (``h``, ``links.forward``); ``""`` names a state that
        is a single tensor.
        """
        return structure_names(state)


def structure_names(state: State) -> list[str]:
    """Return a name for each tensor of a nest: fields, keys and indexes, joined by dots."""
    if isinstance(state, Mapping):
        parts = sorted(state.items())
    elif isinstance(state, tuple | list):
        parts = list(zip(getattr(state, "_fields", range(len(state))), state, strict=True))
    else:
        return [""]
    return [join(str(key), name) for key, part in parts for name in structure_names(part)]


def paths_of(path: str, builder: Builder | None, state: State) -> dict[str, Tensor]:
    """Return each tensor of a part's state by its path, in the order of ``tf.nest.flatten``.

    Args:
        path: the part's: ``cells.0``, ``tape``, ``tape.read``.
        builder: the part; None for a read vector, which is one tensor.
        state: the part's.
    """
    names = [""] if builder is None else builder.state_names(state)
    return {join(path, name): tensor for name, tensor in zip(names, tf.nest.flatten(state), strict=True)}
