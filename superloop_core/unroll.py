"""Any Builder, over all the timesteps of a sequence: unrolled statically, or in one loop."""

import fnmatch
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import attrs
import keras
import tensorflow as tf

from superloop_core.builder import Builder, Sequence, State, Tensor
from superloop_core.errors import TraceError, did_you_mean
from superloop_core.scan import Scan, SegmentedScan

ALL = "all"


class Unrolled(NamedTuple):
    """What a loop gives."""

    outputs: Tensor  # (batch, timesteps, output_size)
    state: State  # after the last valid timestep
    traces: dict[str, Tensor]  # each (batch, timesteps, ...)


def unroll(
    builder: Builder,
    inputs: Tensor | None,
    sequence: Sequence,
    state: State,
    *,
    mask: Tensor | None = None,
    static: bool = False,
    traces: Collection[str] | str = (),
    jit_compile: bool = False,
    parts: int = 1,
    checkpoint_every: int = 1,
) -> Unrolled:
    """Take every timestep of a sequence.

    Args:
        builder: a built Builder.
        inputs: ``(batch, timesteps, input_size)``, or None.
        sequence: what is known of the sequence.
        state: the state at t = 0.
        mask: ``(batch, timesteps)`` of bool; where False, every state stays as it is, and outputs and
            traces repeat the last valid timestep's (zeros where there was none yet). What the inputs
            hold there is never read, be it NaN.
        static: unroll the timesteps one by one, which needs their number to be known; otherwise one
            loop serves any number.
        traces: names of what to record, or patterns of them such as ``"tape.*"``; or ``"all"``.
        jit_compile: compile the loop and its gradient with XLA, once for each shape.
        parts: loops to split the rows over, which run side by side.
        checkpoint_every: keep the state of one timestep in so many for the gradient, which then takes
            those between once more.

    Raises:
        TraceError: a trace has a name that the builder does not give.
    """
    if mask is not None:
        mask = tf.cast(mask, tf.bool)
        if inputs is not None:
            inputs = tf.where(mask[:, :, None], inputs, tf.zeros_like(inputs))
    given = {name: tensor for name, tensor in (("inputs", inputs), ("valid", mask)) if tensor is not None}

    def step(
        at_t: dict[str, Tensor], state: State, constants: Any
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        output, new, named = builder.step(at_t.get("inputs"), state, constants)
        if "valid" in at_t:
            valid = at_t["valid"]
            new = tf.nest.map_structure(lambda n, o: tf.where(_aligned(valid, n), n, o), new, state)
        # Kept as specific as it was: a loop's state must not lose what is known of its shape.
        new = tf.nest.map_structure(lambda n, o: tf.ensure_shape(n, o.shape), new, state)
        return output, new, {name: named[name] for name in _wanted(traces, named)}

    if static or (tf.executing_eagerly() and not jit_compile):  # where a loop would be Python's all the same
        results = _static_steps(step, given, state, builder.constants(sequence), sequence.timesteps)
    else:
        split = list(_split(given, state, sequence, parts))
        results = _joined(_dynamic_steps(builder, step, split, jit_compile, checkpoint_every))
    outputs, state, recorded = results
    if mask is not None:
        outputs, recorded = _held((outputs, recorded), mask)
    return Unrolled(outputs, state, recorded)


def _static_steps(
    step: Any, given: dict[str, Tensor], state: State, constants: Any, timesteps: Any
) -> tuple[Tensor, State, dict[str, Tensor]]:
    outputs, recorded = [], []
    for t in range(int(timesteps)):
        output, state, named = step({name: over[:, t] for name, over in given.items()}, state, constants)
        outputs.append(output)
        recorded.append(named)
    stacked = {name: tf.stack([at[name] for at in recorded], axis=1) for name in recorded[0]}
    return tf.stack(outputs, axis=1), state, stacked


def _dynamic_steps(
    builder: Builder,
    step: Any,
    parts: list[tuple[dict[str, Tensor], State, Sequence]],
    compiled: bool,
    checkpoint_every: int,
) -> list[tuple[Tensor, State, dict[str, Tensor]]]:
    """Run one loop for each part of the rows."""
    variables = list(builder.variables)
    weights = [tf.convert_to_tensor(variable.value) for variable in variables]
    constants = [builder.constants(sequence) for _, _, sequence in parts]
    leaves = tf.nest.flatten(constants[0])  # tensors, and what is the same in every part

    def step_of_scan(state: State, at_t: dict[str, Tensor], shared: Any) -> tuple[State, Any]:
        weights, tensors = shared
        left = iter(tensors)
        filled = [next(left) if tf.is_tensor(leaf) else leaf for leaf in leaves]
        with keras.StatelessScope(zip(variables, weights, strict=True)):
            output, state, named = step(at_t, state, tf.nest.pack_sequence_as(constants[0], filled))
        return state, (output, named)

    scanned = [
        (
            state,
            tf.nest.map_structure(_time_and_batch_swapped, given),
            (weights, [leaf for leaf in tf.nest.flatten(of_part) if tf.is_tensor(leaf)]),
        )
        for (given, state, _), of_part in zip(parts, constants, strict=True)
    ]
    state, xs, shared = scanned[0]
    examples = state, tf.nest.map_structure(lambda x: x[0], xs), shared
    scan: Scan | SegmentedScan
    if checkpoint_every == 1:
        scan = Scan(step_of_scan, *examples, compiled=compiled)
    else:
        scan = SegmentedScan(step_of_scan, *examples, every=checkpoint_every, compiled=compiled)
    results = []
    for nests, (_, _, sequence) in zip(scanned, parts, strict=True):
        state, ys = scan(*nests, sequence.timesteps, keep=sequence.training)
        outputs, named = tf.nest.map_structure(_time_and_batch_swapped, ys)
        results.append((outputs, state, named))
    return results


def _split(
    given: dict[str, Tensor], state: State, sequence: Sequence, parts: int
) -> Iterator[tuple[dict[str, Tensor], State, Sequence]]:
    """Split everything by rows."""
    if parts == 1:
        yield given, state, sequence
        return
    rows = sequence.batch_size
    for part in range(parts):
        start, stop = part * rows // parts, (part + 1) * rows // parts

        def cut(nest: Any, start: Any = start, stop: Any = stop) -> Any:
            return tf.nest.map_structure(lambda tensor: tensor[start:stop], nest)

        yield (
            cut(given),
            cut(state),
            attrs.evolve(
                sequence,
                batch_size=stop - start,
                lengths=cut(sequence.lengths),
                sources=cut(dict(sequence.sources)),
            ),
        )


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=0), *parts)


def _time_and_batch_swapped(tensor: Tensor) -> Tensor:
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])


def _wanted(traces: Collection[str] | str, named: Collection[str]) -> list[str]:
    if traces == ALL:
        return sorted(named)
    wanted: dict[str, None] = {}
    for pattern in traces:
        found = fnmatch.filter(sorted(named), pattern)
        if not found:
            raise TraceError(f"no trace {pattern!r}{did_you_mean(pattern, named)}")
        wanted |= dict.fromkeys(found)
    return list(wanted)


def _aligned(valid: Tensor, tensor: Tensor) -> Tensor:
    """``(batch,)`` -> ``(batch, 1, ...)``, of as many axes as ``tensor``."""
    return tf.reshape(valid, [-1] + [1] * (len(tensor.shape) - 1))


def _held(recorded: Any, mask: Tensor) -> Any:
    """Repeat the last valid timestep's tensors ``(batch, timesteps, ...)`` where the mask is False."""
    valid_first = tf.argsort(tf.cast(mask, tf.int32), axis=1, direction="DESCENDING", stable=True)
    seen = tf.cumsum(tf.cast(mask, tf.int32), axis=1)  # valid timesteps so far
    latest = tf.gather(valid_first, tf.maximum(seen - 1, 0), axis=1, batch_dims=1)

    def held(tensor: Tensor) -> Tensor:
        repeated = tf.gather(tensor, latest, axis=1, batch_dims=1)
        started = tf.reshape(seen > 0, tf.concat([tf.shape(seen), [1] * (len(tensor.shape) - 2)], 0))
        return tf.where(started, repeated, tf.zeros_like(repeated))

    return tf.nest.map_structure(held, recorded)
