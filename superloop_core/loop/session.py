"""A loop taken one timestep at a time."""

from collections.abc import Collection, Mapping
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.errors import SourceError
from superloop_core.loop.traces import select_traces


class Session:
    """A built loop in live use: it takes one timestep each time it is told to.

    What it computes is what a call computes of the whole sequence: the answer of :meth:`step` at t is the
    output at t, those that ``suppress_output`` takes from a call's included, and :attr:`traces` hold what
    a call's hold at t. ``Superloop.session`` opens one. It sees the weights as they were then.

    Attributes:
        traces: the traces of the last step by name, each ``(batch, ...)``; empty before the first.
        timestep: how many steps have been taken.

    Args:
        builder: a built Builder.
        sequence: what is known of the sequence.
        state: the state at t = 0.
        input_size: numbers that come in at each timestep.
        traces: names or patterns of what to record, or ``"all"``.
        owner: a name for messages.
    """

    def __init__(
        self,
        builder: Builder,
        sequence: Sequence,
        state: Any,
        *,
        input_size: int,
        traces: Collection[str] | str = (),
        owner: str = "session",
    ):
        self._names = builder.state_names(state)  # type: ignore[attr-defined]
        self._input_shape = (sequence.batch_size, input_size) if input_size else None
        self._dtype = sequence.dtype
        self._owner = owner
        self._first = self._state = state
        self.traces: Mapping[str, Tensor] = {}
        self.timestep = 0
        constants = builder.constants(sequence)

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def step(inputs: Tensor | None, state: State) -> tuple[Tensor, State, dict[str, Tensor]]:
            output, new, named = builder.step(inputs, state, constants)
            return output, new, {name: named[name] for name in select_traces(traces, named)}

        self._step = step

    @property
    def state(self) -> dict[str, Tensor]:
        """The state now, by path; a call and :meth:`reset` take it as ``initial_state``."""
        return dict(zip(self._names, tf.nest.flatten(self._state), strict=True))

    def step(self, inputs: Any = None) -> Tensor:
        """Take one timestep.

        Args:
            inputs: ``(batch, inputs)``; None where the loop takes none.

        Returns:
            the output ``(batch, outputs)``.

        Raises:
            SourceError: the inputs are of a wrong shape; no step was taken.
        """
        if inputs is not None:
            inputs = tf.cast(tf.convert_to_tensor(inputs), self._dtype)
        received = None if inputs is None else tuple(inputs.shape)
        if received != self._input_shape:
            raise SourceError(
                f"{self._owner}: a step takes inputs of the shape {self._input_shape}: {received}"
            )
        output, self._state, self.traces = self._step(inputs, self._state)
        self.timestep += 1
        return output

    def reset(self) -> None:
        """Go back to t = 0."""
        self._state, self.traces, self.timestep = self._first, {}, 0
