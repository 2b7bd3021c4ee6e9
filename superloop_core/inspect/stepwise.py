"""Take a loop's timesteps one by one, and change what happens in them."""

from collections.abc import Collection, Mapping
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor
from superloop_core.errors import SuperloopError, TraceError
from superloop_core.inspect.trace import Call, Recorder, prefixes
from superloop_core.loop.changes import changing
from superloop_core.loop.trace_selection import ALL
from superloop_core.loop.unroll import StepResults, Unroll, Unrolled


class Plan:
    """The changes of one loop; this one changes nothing, and its methods may be overridden.

    A path is that of the loop's parts: ``memo``, ``cells.0.memo``; names are those of its state and traces,
    without the name of the layer.
    """

    def start(self, state: dict[str, Tensor], timestep: int) -> dict[str, Tensor]:
        """Return the tensors of the state before a step, by name."""
        del timestep
        return state

    def input(self, path: str, inputs: Tensor, timestep: int) -> Tensor:
        """Return a part's input in a step, for a system its control."""
        del path, timestep
        return inputs

    def results(
        self, path: str, output: Tensor, new: State, old: State, timestep: int
    ) -> tuple[Tensor, State]:
        """Return a part's output and state after a step."""
        del path, old, timestep
        return output, new

    def end(self, new: dict[str, Tensor], old: dict[str, Tensor], timestep: int) -> dict[str, Tensor]:
        """Return the tensors of the state after a step, by name; ``old`` are those before it."""
        del old, timestep
        return new


class Stepwise(Recorder):
    """Records the calls of loops, whose timesteps are taken one by one in Python, by their plans.

    Args:
        plans: of the calls that are changed, by their number.
        traced: whether traces are recorded, beside the calls.
    """

    def __init__(self, plans: Mapping[int, Plan] | None = None, *, traced: bool = True):
        super().__init__()
        self._plans = plans or {}
        self._traced = traced

    def unroll(self, layer: Any) -> Unroll:
        """Return what takes the timesteps of the next call."""
        traces = ALL if self._traced else ()
        return _Steps(layer.wiring, self._plans.get(len(self.calls), Plan()), traces)

    def called(self, layer: Any, reached: Mapping[str, Tensor | None], unrolled: Unrolled) -> None:
        """Record a call."""
        super().called(layer, reached if self._traced else {}, unrolled)

    def find(self, name: str) -> tuple[int, str, Call]:
        """Return the number of the call that a name is of, the name within its loop, and the call.

        Raises:
            SuperloopError: it is a cell of ``keras.layers.RNN``, whose steps are Keras's.
            TraceError: there is no such loop.
        """
        loops = list(prefixes([call.layer.name for call in self.calls]))
        prefix = max((prefix for prefix in loops if name.startswith(prefix)), key=len, default=None)
        if prefix is None:
            names = ", ".join(prefix.removesuffix(".") for prefix in loops)
            raise TraceError(f"{name!r} must begin with the name of a loop: {names}")
        index = loops.index(prefix)
        if self.calls[index].steps:
            where = self.calls[index].layer.name
            raise SuperloopError(f"{where}: nothing can be changed in a Keras cell; use a Superloop layer")
        return index, name.removeprefix(prefix), self.calls[index]


class _Steps(Unroll):
    """An Unroll that takes every timestep in Python, compiled or not, as a plan changes it."""

    def __init__(self, wiring: Any, plan: Plan, traces: Collection[str] | str):
        super().__init__(wiring, static=True, traces=traces)
        self._plan = plan

    def _step(
        self, at_t: Mapping[str, Tensor], state: State, constants: Any, noise: tuple[Any, Any], timestep: Any
    ) -> tuple[State, StepResults]:
        plan, names = self._plan, self._builder.state_names(state)
        old = plan.start(dict(zip(names, tf.nest.flatten(state), strict=True)), timestep)
        state = tf.nest.pack_sequence_as(state, [old[name] for name in names])
        step = _Step(plan, timestep)
        with changing(step):
            packed, results = super()._step(at_t, state, constants, noise, timestep)
        new = plan.end(dict(zip(names, tf.nest.flatten(packed), strict=True)), old, timestep)
        traces = results.traces | {name: step.inputs[name] for name in results.traces if name in step.inputs}
        return tf.nest.pack_sequence_as(packed, [new[name] for name in names]), results._replace(
            traces=traces
        )


class _Step:
    """The changes of one step, and the controls as they were changed, by the names of their traces."""

    def __init__(self, plan: Plan, timestep: int):
        self._plan = plan
        self._timestep = timestep
        self.inputs: dict[str, Tensor] = {}

    def input(self, path: str, inputs: Tensor) -> Tensor:
        changed = self._plan.input(path, inputs, self._timestep)
        if changed is not inputs:
            self.inputs[f"{path}.control"] = changed
        return changed

    def results(self, path: str, output: Tensor, new: State, old: State) -> tuple[Tensor, State]:
        return self._plan.results(path, output, new, old, self._timestep)
