"""Session, a loop that takes one timestep at a time."""

import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.errors import SourceError, SuperloopError, WeightsError, message
from superloop_core.limits import check_file, check_unpacked
from superloop_core.loop.given_state import with_given
from superloop_core.loop.single_step import take_single_step
from superloop_core.loop.trace_selection import select_traces
from superloop_core.runs import replace_file

TIMESTEP = "timestep"  # beside the state in a saved file


class Session:
    """A built loop in live use, one timestep for each :meth:`step`.

    Steps compute what a call computes for the whole sequence: the result of step t is the output at t,
    including those that ``suppress_output`` drops from a call's, and :attr:`traces` are a call's at t.
    ``Superloop.session`` opens a session. It uses the weights as they were then.

    A session keeps its state in Python, where no ``tf.function`` can reach it: there, use ``Superloop.step``.

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
        most: number of steps for which the state is large enough; None: any.

    Raises:
        SuperloopError: it is opened inside a ``tf.function``.
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
        most: int | None = None,
    ):
        self._owner = owner
        self._most = most
        self._require_eager()
        self._names = builder.state_names(state)
        self._input_shape = (sequence.batch_size, input_size) if input_size else None
        self._dtype = sequence.dtype
        self._first = self._state = state
        self.traces: Mapping[str, Tensor] = {}
        self.timestep = 0
        constants = builder.constants(sequence)
        weights = [(variable, tf.identity(variable.value)) for variable in builder.variables]

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def step(inputs: Tensor | None, state: State, timestep: Tensor) -> Any:
            output, new, named = take_single_step(
                builder, inputs, state, constants, seed=sequence.seed, timestep=timestep, weights=weights
            )
            return output, new, {name: named[name] for name in select_traces(traces, named)}

        self._step = step

    @property
    def state(self) -> dict[str, Tensor]:
        """The current state by path; a call takes it as ``initial_state``.

        It can be set, to a dict of some tensors by path or a list of all; the others stay, and so does
        :attr:`timestep`.
        """
        return dict(zip(self._names, tf.nest.flatten(self._state), strict=True))

    @state.setter
    def state(self, given: Any) -> None:
        self._state = with_given(self._state, self._names, given, self._owner)

    def step(self, inputs: Any = None) -> Tensor:
        """Take one timestep.

        Args:
            inputs: ``(batch, inputs)``; None where the loop has no inputs.

        Returns:
            the output ``(batch, outputs)``.

        Raises:
            SourceError: the inputs have a wrong shape; no step was taken.
            SuperloopError: it is called inside a ``tf.function``, or the memory is as large as the number of
                timesteps that the session was opened for, and these are over.
        """
        self._require_eager()
        if self._most is not None and self.timestep >= self._most:
            raise SuperloopError(
                f"{self._owner}: this session is for {self._most} timesteps, as its memory is as large as "
                "these need; open it with more, or set the size of the memory"
            )
        if inputs is not None:
            inputs = tf.cast(tf.convert_to_tensor(inputs), self._dtype)
        received = None if inputs is None else tuple(inputs.shape)
        if received != self._input_shape:
            rows_only = received and self._input_shape and received[1:] == self._input_shape[1:]
            hint = f"; open the session with batch_size={received[0]}" if received and rows_only else ""
            raise SourceError(
                f"{self._owner}: a step takes inputs of the shape {self._input_shape}: {received}{hint}"
            )
        output, self._state, self.traces = self._step(inputs, self._state, tf.constant(self.timestep))
        self.timestep += 1
        return output

    def reset(self) -> None:
        """Go back to t = 0."""
        self._state, self.traces, self.timestep = self._first, {}, 0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state and the timestep to an ``.npz`` file, which :meth:`load` reads.

        Raises:
            OSError: it cannot be written; an older file stays.
        """
        arrays: dict[str, Any] = {name: _array(tensor) for name, tensor in self.state.items()}

        def write(new: Path) -> None:
            with new.open("wb") as file:
                np.savez(file, **(arrays | {TIMESTEP: self.timestep}))

        replace_file(Path(path), write)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a state that a session of such a loop saved.

        Raises:
            OSError: the file cannot be opened.
            SourceError: the state is of another loop, or of another batch size; nothing is changed.
            WeightsError: it is no such file.
        """
        try:
            size = check_file(Path(path))
            with zipfile.ZipFile(path) as archive:
                check_unpacked(sum(member.file_size for member in archive.infolist()), size)
            with np.load(path, allow_pickle=False) as saved:
                arrays = dict(saved)
            timestep = int(arrays.pop(TIMESTEP))
        except OSError:
            raise
        except Exception as error:  # NumPy raises many kinds of errors on a broken file
            raise WeightsError(f"{path}: is no saved state of a session: {message(error)}") from error
        if missing := [name for name in self._names if name not in arrays]:
            raise SourceError(f"{self._owner}: {path} has no {missing[0]!r}; it is the state of another loop")
        self.state = arrays
        self.timestep, self.traces = timestep, {}

    def __reduce__(self) -> NoReturn:
        raise SuperloopError(
            f"{self._owner}: a session holds weights, which are not pickled: pickle its 'state' and "
            "'timestep', or call its 'save'"
        )

    def _require_eager(self) -> None:
        if not tf.executing_eagerly():
            raise SuperloopError(
                f"{self._owner}: a session cannot be used inside a tf.function, which would forget its "
                "state; use the layer's 'initial_state', 'constants' and 'step'"
            )


def _array(tensor: Tensor) -> np.ndarray:
    """Return an array of a dtype that NumPy's files have."""
    wide = tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor
    return np.asarray(wide)
