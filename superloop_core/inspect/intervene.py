"""What a model would do, had its memory been another at one timestep."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor
from superloop_core.errors import SuperloopError, TraceError, did_you_mean, short_repr
from superloop_core.inspect.stepwise import Plan, Stepwise
from superloop_core.inspect.trace import select_state
from superloop_core.inspect.watch import call_watched
from superloop_core.loop.trace_selection import ALL
from superloop_core.names import CONTROL, READ
from superloop_core.traces import Traces


@attrs.frozen(kw_only=True, eq=False)
class Intervention:
    """What a model did with and without a change.

    Args:
        before: without it.
        after: with it.
        at: the timestep of the change.
    """

    before: Traces
    after: Traces
    at: int

    @property
    def differences(self) -> dict[str, np.ndarray]:
        """Each trace with the change less the one without it; 0 where nothing changed."""
        return {name: _less(self.after[name], self.before[name]) for name in self.before}

    @property
    def results(self) -> Any:
        """The model's answers with the change less those without it."""
        return tf.nest.map_structure(_less, self.after.results, self.before.results)

    def first_changes(self, tolerance: float = 0.0) -> dict[str, int]:
        """Return the timestep at which each trace that changes by more than ``tolerance`` first does so."""
        found = {}
        for name, array in self.differences.items():
            within = np.abs(array).max(axis=(0, *range(2, array.ndim)), initial=0) <= tolerance
            moved = ~within  # NaN, too
            if moved.any():
                found[name] = int(moved.argmax())
        return dict(sorted(found.items(), key=lambda item: item[1]))


def intervene(
    model: Any,
    inputs: Any,
    *,
    at: int,
    set: Mapping[str, Any] | None = None,
    off: Collection[str] = (),
    swap: Mapping[str, tuple[int, int]] | None = None,
    rows: Iterable[int] | None = None,
    traces: Collection[str] | str = ALL,
    **how: Any,
) -> Intervention:
    """Call a model twice, the second time with a change at timestep ``at``, and return both.

    The first timestep is 0. States and read vectors are changed before step ``at``, so their traces at ``at``
    are the new ones; a control is changed within it. What a system computes within its step, such as the
    weights of an attention, cannot be set: set its control, its state, or its read vector one timestep later.
    Names are those of traces; where a model has several loops, they begin with the layer's. Nothing in the
    model changes.

    ::

        intervene(model, x, at=5, set={"memo.cells": 0})               an empty memory at t = 5
        intervene(model, x, at=5, set={"memo.control": lambda c: -c})  a function of what it was
        intervene(model, x, at=5, off=["memo"])                        reads zeros from t = 5 on, and stays
        intervene(model, x, at=5, swap={"memo": (0, 1)})               sequence 0 goes on with 1's memory

    Args:
        model: a Keras model, or a layer such as a ``Superloop``.
        inputs: as the model takes them.
        at: the timestep.
        set: new values of states, read vectors and controls, by name: whatever NumPy broadcasts to
            ``(batch, ...)``, or a function of the array that it was.
        off: paths of systems to switch off from ``at`` on: the cells see read vectors of zeros, and the state
            of the system stays as it was, but for the writes of systems that share it: name these too.
        swap: pairs of sequences that swap states, by the path of a part, which is its state without the read
            vector, or by the name of one tensor.
        rows: sequences that are changed by ``set`` and ``off``; None: all.
        traces: as for :func:`~superloop_core.trace`.
        how: further arguments of the model's call, such as ``mask``.

    Raises:
        SuperloopError: there is no such timestep, or no loop was called.
        TraceError: a name is none of a state, a read vector or a control, or a value does not fit.
    """
    recorder = Stepwise()
    results = call_watched(model, inputs, recorder, **how)
    before = recorder.traces(model, inputs, results, traces)
    plans = _plans(recorder, at, dict(set or {}), off, dict(swap or {}), rows)
    changed = Stepwise(plans)
    results = call_watched(model, inputs, changed, **how)
    return Intervention(before=before, after=changed.traces(model, inputs, results, traces), at=at)


@attrs.define(eq=False)
class _Changes(Plan):
    """The changes of one loop at a timestep."""

    at: int
    rows: np.ndarray  # (batch,) of bool
    states: dict[str, Any] = attrs.field(factory=dict)
    controls: dict[str, Any] = attrs.field(factory=dict)
    off: list[str] = attrs.field(factory=list)
    swaps: list[tuple[str, tuple[int, int]]] = attrs.field(factory=list)

    def start(self, state: dict[str, Tensor], timestep: int) -> dict[str, Tensor]:
        if timestep != self.at:
            return state
        state = dict(state)
        for name, (one, other) in self.swaps:
            order = np.arange(len(self.rows))
            order[[one, other]] = other, one
            state[name] = tf.gather(state[name], order)
        for path in self.off:
            if (read := f"{path}.{READ}") in state:  # else it has no feedback
                state[read] = self._chosen(0, state[read], path)
        for name, value in self.states.items():
            state[name] = self._chosen(value, state[name], name)
        return state

    def input(self, path: str, inputs: Tensor, timestep: int) -> Tensor:
        name = f"{path}.{CONTROL}"
        if timestep != self.at or name not in self.controls:
            return inputs
        return self._chosen(self.controls[name], inputs, name)

    def results(
        self, path: str, output: Tensor, new: State, old: State, timestep: int
    ) -> tuple[Tensor, State]:
        if timestep < self.at or path not in self.off:
            return output, new
        stays = tf.nest.map_structure(lambda n, o: self._chosen(o, n, path), new, old)
        return self._chosen(0, output, path), stays

    def _chosen(self, value: Any, old: Tensor, name: str) -> Tensor:
        """Return a value in the chosen rows, and the old one in the others."""
        if not tf.is_tensor(value):
            value = value(np.array(old)) if callable(value) else value
            try:
                given = np.broadcast_to(np.asarray(value), old.shape)
                with np.errstate(invalid="ignore", over="ignore"):
                    value = given.astype(old.dtype.as_numpy_dtype)
            except (TypeError, ValueError) as error:
                shape = short_repr(np.shape(value))
                raise TraceError(
                    f"{name!r} at a timestep has the shape {tuple(old.shape)}: {shape}"
                ) from error
            if not old.dtype.is_floating and not old.dtype.is_complex and (given != value).any():
                wrong = given[given != value].flat[0]
                raise TraceError(f"{name!r} holds numbers of {old.dtype.name}, and {wrong} is none")
        if self.rows.all():
            return tf.convert_to_tensor(value)
        return tf.where(self.rows.reshape(-1, *[1] * (len(old.shape) - 1)), value, old)


def _plans(
    recorder: Stepwise,
    at: int,
    set: dict[str, Any],
    off: Collection[str],
    swap: dict[str, tuple[int, int]],
    rows: Iterable[int] | None,
) -> dict[int, Plan]:
    """Return the changes of each call, by its number.

    Raises:
        SuperloopError: there is no such timestep or sequence.
        TraceError: a name is not that of anything that can be changed.
    """
    plans: dict[int, _Changes] = {}
    listed = None if rows is None else list(rows)

    def plan_of(name: str) -> tuple[_Changes, str, Any]:
        """Return the plan of the loop that a name is of, the name within the loop, and the call."""
        index, own, call = recorder.find(name)
        outputs = next(iter(call.traces.values()))
        if not 0 <= at < outputs.shape[1]:
            raise SuperloopError(f"at must be from 0 to {outputs.shape[1] - 1}, the last timestep: {at}")
        if index not in plans:
            chosen = np.zeros(outputs.shape[0], bool)
            chosen[_checked_rows(range(len(chosen)) if listed is None else listed, len(chosen))] = True
            plans[index] = _Changes(at=at, rows=chosen)
        return plans[index], own, call

    for name, value in set.items():
        plan, own, call = plan_of(name)
        controls = [trace for trace in call.traces if trace.rpartition(".")[2] == CONTROL]
        if own in call.states:
            plan.states[own] = value
        elif own in controls:
            plan.controls[own] = value
        else:
            computed = f"{name!r} is computed within a step: " if own in call.traces else f"no {name!r}: "
            raise TraceError(
                f"{computed}states, read vectors and controls can be set"
                f"{did_you_mean(own, [*call.states, *controls])}"
            )
    for path in [off] if isinstance(off, str) else off:
        plan, own, call = plan_of(path)
        systems = [name.rpartition(".")[0] for name in call.traces if name.rpartition(".")[2] == READ]
        if own not in systems:
            raise TraceError(f"no system {path!r}{did_you_mean(own, systems)}")
        plan.off.append(own)
    for name, pair in swap.items():
        plan, own, call = plan_of(name)
        one, other = _checked_rows(pair, len(plan.rows))
        plan.swaps += [(found, (one, other)) for found in select_state(own, call.states)]
    return dict(plans)


def _checked_rows(rows: Iterable[int], count: int) -> list[int]:
    listed = list(rows)
    if wrong := [row for row in listed if not 0 <= row < count]:
        raise SuperloopError(f"sequences are numbered from 0 to {count - 1}: {short_repr(wrong[0])}")
    return listed


def _less(one: Any, other: Any) -> np.ndarray:
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind == "b":
        one, other = one.astype(int), other.astype(int)
    equal = (one == other) | ((one != one) & (other != other))  # NaN is NaN
    with np.errstate(invalid="ignore"):
        less = np.asarray(one - other)
    return np.where(equal, np.zeros_like(less), less)
