"""Builder, the protocol of whatever can take one timestep; System, its form for external systems.

A Builder makes its weights once, in ``build``, and wires the same weights into one more timestep each
time ``step`` is called. A timestep is a Mealy machine: the state at t = 0 is ``initial_state``, never
an ``if`` in ``step``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

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
