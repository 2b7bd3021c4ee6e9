"""Every trace of every loop inside a model."""

from collections.abc import Collection, Mapping
from typing import Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import State, Tensor
from superloop_core.errors import SuperloopError, TraceError, did_you_mean
from superloop_core.inspect.watch import call_watched
from superloop_core.loop.trace_selection import ALL, checked_traces, select_traces
from superloop_core.loop.unroll import Unroll, Unrolled
from superloop_core.names import INPUTS
from superloop_core.traces import Traces, TraceView


def trace(model: Any, inputs: Any, traces: Collection[str] | str = ALL, **how: Any) -> Traces:
    """Call a model outside of training, and return what its loops did.

    The loops are found as they are called: in functional, sequential and subclassed models, in models within
    models, in ``keras.layers.Bidirectional``, and as cells of ``keras.layers.RNN``. The results are those of
    ``model(inputs)`` outside of a ``tf.function``, to the last bit; nothing in the model changes, neither
    states of stateful layers nor seeds. One timestep is computed after the other: long sequences take long.

    Args:
        model: a Keras model, or a layer such as a ``Superloop``.
        inputs: as the model takes them: arrays or tensors.
        traces: names of traces or patterns, such as ``"memo.*"``; or ``"all"``. Where several loops are
            called, names begin with that of the layer: ``encoder.memo.cells``.
        how: further arguments of the model's call, such as ``mask``.

    Raises:
        SuperloopError: no loop was called.
        TraceError: a name or pattern matches no trace.
    """
    recorder = Recorder()
    results = call_watched(model, inputs, recorder, **how)
    return recorder.traces(model, inputs, results, traces)


@attrs.define(eq=False)
class Call:
    """One call of a loop.

    Args:
        layer: the loop's.
        reached: what reached it, by name.
        traces: each ``(batch, timesteps, ...)``; of a cell, a list of the steps' tensors.
        states: names of the state's tensors.
        steps: whether it is a cell, which is called once for each timestep.
    """

    layer: Any
    reached: dict[str, Any]
    traces: dict[str, Any]
    states: list[str]
    steps: bool = False


class Recorder:
    """Watches the calls of loops, and records every trace."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def unroll(self, layer: Any) -> Unroll:
        """Return an Unroll of the layer's wiring that records every trace."""
        return Unroll(layer.wiring, static=layer.unroll, traces=ALL)

    def called(self, layer: Any, reached: Mapping[str, Tensor | None], unrolled: Unrolled) -> None:
        """Record a call."""
        there = {name: as_array(tensor) for name, tensor in reached.items() if tensor is not None}
        arrays = {name: as_array(tensor) for name, tensor in unrolled.traces.items()}
        self.calls.append(Call(layer, there, arrays, layer.wiring.state_names(unrolled.state)))

    def stepped(self, cell: Any, inputs: Tensor, state: State, traces: Mapping[str, Tensor]) -> None:
        """Record a step of a cell; all its steps are one call."""
        call = next((call for call in self.calls if call.layer is cell), None)
        if call is None:
            names = cell.wiring.state_names(state)
            call = Call(cell, {INPUTS: []}, {name: [] for name in traces}, names, steps=True)
            self.calls.append(call)
        call.reached[INPUTS].append(as_array(inputs))
        for name, tensor in traces.items():
            call.traces[name].append(as_array(tensor))

    def traces(self, model: Any, inputs: Any, results: Any, chosen: Collection[str] | str) -> Traces:
        """Return what was recorded.

        Raises:
            SuperloopError: no loop was called.
            TraceError: a name or pattern matches no trace.
        """
        if not self.calls:
            raise SuperloopError(f"{model.name}: called no Superloop layer, and no SuperloopCell")
        arrays: dict[str, np.ndarray] = {}
        reached: dict[str, np.ndarray] = {}
        views: dict[str, TraceView] = {}
        labels: dict[str, tuple[str, ...]] = {}
        states: set[str] = set()
        loops = prefixes([call.layer.name for call in self.calls])
        for prefix, call in zip(loops, self.calls, strict=True):
            wiring = call.layer.wiring
            of_call = _over_time(call, model) if call.steps else call
            arrays |= {prefix + name: array for name, array in of_call.traces.items()}
            reached |= {prefix + name: array for name, array in of_call.reached.items()}
            views |= {prefix + name: view for name, view in wiring.trace_views.items()}
            labels |= {prefix + name: tuple(entries) for name, entries in wiring.slot_names.items()}
            states |= {prefix + name for name in call.states}
        names = select_traces(checked_traces(chosen), arrays)
        return Traces(
            arrays={name: arrays[name] for name in names},
            views={name: views[name] for name in names if name in views},
            labels={name: labels[name] for name in names if _fits(labels.get(name), arrays[name])},
            states=frozenset(states.intersection(names)),
            loops=loops,
            inputs=named_inputs(model, inputs),
            reached=reached,
            results=tf.nest.map_structure(as_array, _as_plain(results)),
        )


def prefixes(names: list[str]) -> dict[str, str]:
    """Return the prefix of each loop's traces, with the layer's name; calls of one layer are numbered."""
    if len(names) == 1:
        return {"": names[0]}
    counts: dict[str, int] = {}
    found = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        found[f"{name}." if counts[name] == 1 else f"{name}#{counts[name]}."] = name
    return found


def named_inputs(model: Any, inputs: Any) -> dict[str, np.ndarray]:
    """Return a model's inputs by name, those that are arrays."""
    if not isinstance(inputs, Mapping):
        listed = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        symbolic = keras.tree.flatten(getattr(model, "inputs", None) or [])
        known = [tensor.name for tensor in symbolic] if len(symbolic) == len(listed) > 1 else []
        names = known or [INPUTS, *map(str, range(1, len(listed)))]
        inputs = dict(zip(names, listed, strict=True))
    return {
        str(name): as_array(value)
        for name, value in inputs.items()
        if isinstance(value, np.ndarray | tf.Tensor | list | tuple)
    }


def as_array(tensor: Any) -> np.ndarray:
    """Return an array of a dtype that NumPy's files have."""
    if getattr(tensor, "dtype", None) == tf.bfloat16:
        tensor = tf.cast(tensor, tf.float32)
    return np.asarray(tensor)


def select_state(key: str, names: Collection[str], *, read: bool = False) -> list[str]:
    """Return the tensors of a state that a name or the path of a part is of: ``memo.cells``, ``memo``.

    Args:
        key: the name, or the path.
        names: of all tensors.
        read: whether a path is that of the read vector too.

    Raises:
        TraceError: there is none.
    """
    if key in names:
        return [key]
    found = [name for name in names if name.startswith(f"{key}.") and (read or name != f"{key}.read")]
    if not found:
        known = {*names, *(name.rpartition(".")[0] for name in names)}
        shared = "; it shares the memory of another system: name that one"
        raise TraceError(f"no state {key!r}{shared if key in known else did_you_mean(key, known)}")
    return found


def _over_time(call: Call, model: Any) -> Call:
    """Return a cell's steps over time.

    ``keras.layers.RNN`` takes the first one twice, unless it unrolls; a program that calls the cell does not.
    """
    around = [
        layer
        for layer in (model, *model._flatten_layers())
        if isinstance(layer, keras.layers.RNN)
        and call.layer in (layer.cell, *getattr(layer.cell, "cells", ()))
    ]
    first = 1 if around and not around[0].unroll else 0
    reached, traces = (
        {name: np.stack(steps[first:], axis=1) for name, steps in of_call.items()}
        for of_call in (call.reached, call.traces)
    )
    return attrs.evolve(call, reached=reached, traces=traces)


def _fits(entries: tuple[str, ...] | None, array: np.ndarray) -> bool:
    return entries is not None and len(entries) in array.shape[2:]


def _as_plain(results: Any) -> Any:
    """Return a model's results as a dict or a list, where they are several."""
    if isinstance(results, Mapping):
        return dict(results)
    return list(results) if isinstance(results, list | tuple) else results
