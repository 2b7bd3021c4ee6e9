"""Any Builder, over all the timesteps of a sequence: unrolled statically, or in one ``tf.while_loop``."""

import fnmatch
from collections.abc import Collection
from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core.builder import Builder, Sequence, State, Tensor
from superloop_core.errors import TraceError, did_you_mean

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

    Raises:
        TraceError: a trace has a name that the builder does not give.
    """
    constants = builder.constants(sequence)
    if mask is not None:
        mask = tf.cast(mask, tf.bool)
        if inputs is not None:
            inputs = tf.where(mask[:, :, None], inputs, tf.zeros_like(inputs))

    def step(
        inputs_t: Tensor | None, state: State, valid: Tensor | None
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        output, new, named = builder.step(inputs_t, state, constants)
        if valid is not None:
            new = tf.nest.map_structure(lambda n, o: tf.where(_aligned(valid, n), n, o), new, state)
        # Kept as specific as it was: a loop's state must not lose what is known of its shape.
        new = tf.nest.map_structure(lambda n, o: tf.ensure_shape(n, o.shape), new, state)
        return output, new, named

    steps = _static_steps if static else _dynamic_steps
    outputs, state, recorded = steps(step, inputs, mask, state, sequence, builder.output_size, traces)
    if mask is not None:
        outputs, recorded = _held((outputs, recorded), mask)
    return Unrolled(outputs, state, recorded)


def _static_steps(
    step: Any,
    inputs: Tensor | None,
    mask: Tensor | None,
    state: State,
    sequence: Sequence,
    output_size: int,
    traces: Collection[str] | str,
) -> tuple[Tensor, State, dict[str, Tensor]]:
    del output_size
    outputs, recorded = [], []
    for t in range(sequence.timesteps):
        output, state, named = step(
            None if inputs is None else inputs[:, t], state, None if mask is None else mask[:, t]
        )
        outputs.append(output)
        recorded.append({name: named[name] for name in _wanted(traces, named)})
    stacked = {name: tf.stack([at[name] for at in recorded], axis=1) for name in recorded[0]}
    return tf.stack(outputs, axis=1), state, stacked


def _dynamic_steps(
    step: Any,
    inputs: Tensor | None,
    mask: Tensor | None,
    state: State,
    sequence: Sequence,
    output_size: int,
    traces: Collection[str] | str,
) -> tuple[Tensor, State, dict[str, Tensor]]:
    timesteps = sequence.timesteps

    def over_time(tensor: Tensor | None) -> Tensor | None:
        """Time first, in an array that a loop reads without a gradient of the whole at each timestep."""
        if tensor is None:
            return None
        rank = len(tensor.shape)
        tensor = tf.transpose(tensor, [1, 0, *range(2, rank)])
        return tf.TensorArray(tensor.dtype, size=timesteps).unstack(tensor)

    inputs_over_time, mask_over_time = over_time(inputs), over_time(mask)

    def step_at(t: Tensor, state: State) -> Any:
        return step(
            None if inputs_over_time is None else inputs_over_time.read(t),
            state,
            None if mask_over_time is None else mask_over_time.read(t),
        )

    rows = sequence.batch_size if isinstance(sequence.batch_size, int) else None
    specs = {"": tf.TensorSpec((rows, output_size), sequence.dtype)}
    if traces:
        first = [None if over is None else over[:, 0] for over in (inputs, mask)]
        named = _named_by(lambda: step(first[0], state, first[1])[2])
        specs |= {name: named[name] for name in _wanted(traces, named)}
    arrays = {
        name: tf.TensorArray(spec.dtype, size=timesteps, element_shape=spec.shape)
        for name, spec in specs.items()
    }

    def body(t: Tensor, state: State, arrays: dict[str, Any]) -> tuple[Tensor, State, dict[str, Tensor]]:
        output, state, named = step_at(t, state)
        named = {"": output} | {name: named[name] for name in arrays if name}
        return t + 1, state, {name: array.write(t, named[name]) for name, array in arrays.items()}

    _, state, arrays = tf.while_loop(
        lambda t, *_: t < timesteps,
        body,
        (tf.constant(0), state, arrays),
        maximum_iterations=timesteps,
    )
    stacked = {}
    for name, array in arrays.items():
        tensor = array.stack()  # (timesteps, batch, ...)
        stacked[name] = tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])
    return stacked.pop(""), state, stacked


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


def _named_by(function: Any) -> dict[str, tf.TensorSpec]:
    """Trace ``function`` without running it, to learn what it names."""
    traced = tf.function(function, autograph=False).get_concrete_function()
    return {name: tf.TensorSpec(t.shape, t.dtype) for name, t in traced.structured_outputs.items()}


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
