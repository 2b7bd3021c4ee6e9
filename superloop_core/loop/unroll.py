"""Any Builder, over all the timesteps of a sequence: unrolled statically, or in one loop."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.loop.masks import aligned, held
from superloop_core.loop.rows import joined, split
from superloop_core.loop.scan import Scan, SegmentedScan
from superloop_core.loop.traces import select_traces

TENSOR = object()  # stands for a tensor among constants


class Unrolled(NamedTuple):
    """What a loop gives."""

    outputs: Tensor  # (batch, timesteps, output_size)
    state: State  # after the last valid timestep
    traces: dict[str, Tensor]  # each (batch, timesteps, ...)


class Loop:
    """A Builder over the timesteps of a sequence, unrolled one by one or in one loop.

    What was traced of a loop stays with it, so that another graph of the same shapes (the second trace of
    a training step, an evaluation) finds it there.

    Args:
        builder: a Builder, which must be built before the first call.
        static: unroll the timesteps one by one, which needs their number to be known; otherwise one
            loop serves any number.
        traces: names of what to record, or patterns of them such as ``"tape.*"``; or ``"all"``.
        checkpoint_every: keep the state of one timestep in so many for the gradient, which then takes
            those between once more. It says nothing of a static loop.
    """

    def __init__(
        self,
        builder: Builder,
        *,
        static: bool = False,
        traces: Collection[str] | str = (),
        checkpoint_every: int = 1,
    ):
        self._builder = builder
        self._static = static
        self._traces = traces
        self._checkpoint_every = checkpoint_every
        self._scans: dict[Any, Scan | SegmentedScan] = {}
        self.recorded: tuple[str, ...] = ()  # names of the traces, once a step was taken

    def __call__(
        self,
        inputs: Tensor | None,
        sequence: Sequence,
        state: State,
        *,
        mask: Tensor | None = None,
        jit_compile: bool = False,
        parts: int = 1,
    ) -> Unrolled:
        """Take every timestep of a sequence.

        Args:
            inputs: ``(batch, timesteps, input_size)``, or None.
            sequence: what is known of the sequence.
            state: the state at t = 0.
            mask: ``(batch, timesteps)`` of bool; where False, every state stays as it is, and outputs and
                traces repeat the last valid timestep's (zeros where there was none yet). What the inputs
                hold there is never read, be it NaN.
            jit_compile: compile the loop and its gradient with XLA, once for each shape; a static loop
                is part of whatever graph it stands in.
            parts: loops to split the rows over, which run side by side.

        Raises:
            TraceError: a trace has a name that the builder does not give.
        """
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            if inputs is not None:
                inputs = tf.where(mask[:, :, None], inputs, tf.zeros_like(inputs))
        given = {name: tensor for name, tensor in (("inputs", inputs), ("valid", mask)) if tensor is not None}
        # Outside a graph a loop would be Python's all the same.
        if self._static or (tf.executing_eagerly() and not jit_compile):
            results = self._static_steps(given, state, sequence)
        else:
            shards = list(split(given, state, sequence, parts))
            results = joined(self._dynamic_steps(shards, jit_compile))
        outputs, state, recorded = results
        if mask is not None:
            outputs, recorded = held((outputs, recorded), mask)
        return Unrolled(outputs, state, recorded)

    def outline(
        self, inputs: Tensor | None, sequence: Sequence, state: State, *, mask: Tensor | None = None
    ) -> Unrolled:
        """Return tensors like what a call gives, at the cost of one step: their shapes and dtypes are right.

        The arguments and errors are a call's.
        """
        at_0 = {} if inputs is None else {"inputs": inputs[:, 0]}
        if mask is not None:
            at_0["valid"] = tf.cast(mask[:, 0], tf.bool)
        output, state, named = self._step(at_0, state, self._builder.constants(sequence))

        def over_time(tensor: Tensor) -> Tensor:
            timesteps = sequence.timesteps if isinstance(sequence.timesteps, int) else None
            repeated = tf.repeat(tensor[:, None], sequence.timesteps, axis=1)
            return tf.ensure_shape(repeated, [tensor.shape[0], timesteps, *tensor.shape[1:]])

        return Unrolled(over_time(output), state, tf.nest.map_structure(over_time, named))

    def _step(
        self, at_t: Mapping[str, Tensor], state: State, constants: Any
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        output, new, named = self._builder.step(at_t.get("inputs"), state, constants)
        if "valid" in at_t:
            valid = at_t["valid"]
            new = tf.nest.map_structure(lambda n, o: tf.where(aligned(valid, n), n, o), new, state)
        # Kept as specific as it was: a loop's state must not lose what is known of its shape.
        new = tf.nest.map_structure(lambda n, o: tf.ensure_shape(n, o.shape), new, state)
        self.recorded = tuple(select_traces(self._traces, named))
        return output, new, {name: named[name] for name in self.recorded}

    def _static_steps(
        self, given: Mapping[str, Tensor], state: State, sequence: Sequence
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        constants = self._builder.constants(sequence)
        outputs, recorded = [], []
        for t in range(int(sequence.timesteps)):
            at_t = {name: over[:, t] for name, over in given.items()}
            output, state, named = self._step(at_t, state, constants)
            outputs.append(output)
            recorded.append(named)
        stacked = {name: tf.stack([at[name] for at in recorded], axis=1) for name in recorded[0]}
        return tf.stack(outputs, axis=1), state, stacked

    def _dynamic_steps(
        self, parts: list[tuple[dict[str, Tensor], State, Sequence]], compiled: bool
    ) -> list[tuple[Tensor, State, dict[str, Tensor]]]:
        """Run one loop for each part of the rows."""
        weights = [tf.convert_to_tensor(variable.value) for variable in self._builder.variables]
        constants = [
            tf.nest.map_structure(_array_as_tensor, self._builder.constants(sequence))
            for _, _, sequence in parts
        ]
        scanned = [
            (
                state,
                tf.nest.map_structure(_time_and_batch_swapped, given),
                (weights, [leaf for leaf in tf.nest.flatten(of_part) if tf.is_tensor(leaf)]),
            )
            for (given, state, _), of_part in zip(parts, constants, strict=True)
        ]
        scan = self._scan(*scanned[0], constants[0], compiled)
        results = []
        for nests, (_, _, sequence) in zip(scanned, parts, strict=True):
            state, ys = scan(*nests, sequence.timesteps, keep=sequence.training)
            outputs, named = tf.nest.map_structure(_time_and_batch_swapped, ys)
            results.append((outputs, state, named))
        return results

    def _scan(
        self, state: State, xs: dict[str, Tensor], shared: Any, constants: Any, compiled: bool
    ) -> Scan | SegmentedScan:
        """Return the loop over steps like these; one that was made for the same is taken again."""
        # Of the constants, what is no tensor (whether to train) is the same for every step and part.
        others = tf.nest.map_structure(lambda leaf: TENSOR if tf.is_tensor(leaf) else leaf, constants)

        def spec(tensor: Tensor) -> tf.TensorSpec:
            return tf.TensorSpec(tensor.shape, tensor.dtype)

        examples = (
            tf.nest.map_structure(spec, state),
            tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), xs),
            tf.nest.map_structure(spec, shared),
        )
        key = compiled, tuple(xs), repr(others), tuple(tf.nest.flatten(examples))
        if key not in self._scans:
            options: Any = {"compiled": compiled}
            make: Any = Scan
            if self._checkpoint_every > 1:
                make, options["every"] = SegmentedScan, self._checkpoint_every
            self._scans[key] = make(self._step_of_scan(others), *examples, **options)
        return self._scans[key]

    def _step_of_scan(self, constants: Any) -> Any:
        """Return the step with its weights and constants handed to it; the latter fill each TENSOR."""
        variables = list(self._builder.variables)

        def step(state: State, at_t: dict[str, Tensor], shared: Any) -> tuple[State, Any]:
            weights, tensors = shared
            left = iter(tensors)
            filled = [next(left) if leaf is TENSOR else leaf for leaf in tf.nest.flatten(constants)]
            with keras.StatelessScope(zip(variables, weights, strict=True)):
                output, state, named = self._step(at_t, state, tf.nest.pack_sequence_as(constants, filled))
            return state, (output, named)

        return step


def _array_as_tensor(leaf: Any) -> Any:
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _time_and_batch_swapped(tensor: Tensor) -> Tensor:
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])
