"""Session, a loop that takes one timestep at a time."""

from collections.abc import Collection, Mapping
from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.errors import SourceError
from superloop_core.loop.trace_selection import select_traces


class Session:
    """A built loop in live use, one timestep for each :meth:`step`.

    Steps compute what a call computes for the whole sequence: the result of step t is the output at t,
    including those that ``suppress_output`` drops from a call's, and :attr:`traces` are a call's at t.
    ``Superloop.session`` opens a session. It uses the weights as they were then.

    Attributes:
        traces: the traces of the last step by name, each ``(batch, ...)``; empty before the first.
        timestep: number of steps taken.

    Args:
        builder: a built Builder.
        sequence: what is known of the sequence.
        state: the state at t = 0.
        input_size: size of the input at each timestep; 0: none.
        traces: names or patterns of the traces to record, or ``"all"``.
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
        self._names = builder.state_names(state)
        self._input_shape = (sequence.batch_size, input_size) if input_size else None
        self._dtype = sequence.dtype
        self._owner = owner
        self._first = self._state = state
        self.traces: Mapping[str, Tensor] = {}
        self.timestep = 0
        constants = builder.constants(sequence)
        weights = [(variable, tf.identity(variable.value)) for variable in builder.variables]

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def step(inputs: Tensor | None, state: State) -> tuple[Tensor, State, dict[str, Tensor]]:
            with keras.StatelessScope(weights):  # the constants come from these weights too
                output, new, named = builder.step(inputs, state, constants)
            return output, new, {name: named[name] for name in select_traces(traces, named)}

        self._step = step

    @property
    def state(self) -> dict[str, Tensor]:
        """The current state by path; a call takes it as ``initial_state``."""
        return dict(zip(self._names, tf.nest.flatten(self._state), strict=True))

    def step(self, inputs: Any = None) -> Tensor:
        """Take one timestep.

        Args:
            inputs: ``(batch, inputs)``; None where the loop has no inputs.

        Returns:
            the output ``(batch, outputs)``.

        Raises:
            SourceError: the inputs have a wrong shape; no step was taken.
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
