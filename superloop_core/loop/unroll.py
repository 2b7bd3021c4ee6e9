"""All timesteps of any Builder: unrolled statically, or in one loop."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.loop.masks import freeze, hold
from superloop_core.loop.scan import Scan, SegmentedScan
from superloop_core.loop.shards import Shard, join_rows, split_rows
from superloop_core.loop.trace_selection import select_traces

TENSOR = object()  # stands for a tensor among constants


class Unrolled(NamedTuple):
    """The results of a loop."""

    outputs: Tensor  # (batch, timesteps, output_size)
    state: State  # after the last valid timestep
    traces: dict[str, Tensor]  # each (batch, timesteps, ...)


class Unroll:
    """A Builder over the timesteps of a sequence, unrolled one by one or in one loop.

    A loop that was traced once serves every graph of the same shapes (the second trace of a training
    step, an evaluation).

    Args:
        builder: built before the first call.
        static: unroll the timesteps one by one, which needs their number to be known; otherwise one
            loop serves any number.
        traces: names or patterns of the traces to record, such as ``"tape.*"``; or ``"all"``.
        checkpoint_every: save the state of every n-th timestep only for the backward pass, which then
            recomputes the others. A static loop ignores it.
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

    def __call__(
        self,
        inputs: Tensor | None,
        sequence: Sequence,
        state: State,
        *,
        timesteps: Any = None,
        mask: Tensor | None = None,
        jit_compile: bool = False,
        shards: int = 1,
    ) -> Unrolled:
        """Take every timestep of a sequence.

        Args:
            inputs: ``(batch, timesteps, input_size)``, or None.
            sequence: what is known of the sequence.
            state: the state at t = 0.
            timesteps: number of steps to take, where the sequence does not say: one that comes in chunks.
            mask: ``(batch, timesteps)`` of bool; where it is False, every state stays, and outputs and
                traces repeat those of the last valid timestep (zeros before the first one). The inputs
                there are never read, not even NaN.
            jit_compile: compile the loop and its gradient with XLA, once for each shape; a static loop
                is compiled with the graph around it.
            shards: number of loops that run side by side, each on some rows.

        Raises:
            TraceError: a name or pattern matches no trace.
        """
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            if inputs is not None:
                inputs = tf.where(mask[:, :, None], inputs, tf.zeros_like(inputs))
        given = {name: tensor for name, tensor in (("inputs", inputs), ("valid", mask)) if tensor is not None}
        whole = Shard(given, state, attrs.evolve(sequence, prepared=self._builder.prepare()))
        steps = sequence.timesteps if timesteps is None else timesteps
        # Outside a graph a dynamic loop would be Python's as well.
        if self._static or (tf.executing_eagerly() and not jit_compile):
            results = self._static_steps(whole, int(steps))
        else:
            results = join_rows(self._dynamic_steps(split_rows(whole, shards), steps, jit_compile))
        outputs, state, traces = results
        if mask is not None:
            outputs, traces = hold((outputs, traces), mask)
        return Unrolled(outputs, state, traces)

    def placeholders(
        self,
        inputs: Tensor | None,
        sequence: Sequence,
        state: State,
        *,
        timesteps: Any = None,
        mask: Tensor | None = None,
    ) -> Unrolled:
        """Return placeholders with a call's shapes and dtypes; runs one step.

        Arguments and errors are those of a call.
        """
        at_0 = {} if inputs is None else {"inputs": inputs[:, 0]}
        if mask is not None:
            at_0["valid"] = tf.cast(mask[:, 0], tf.bool)
        output, state, traces = self._step(at_0, state, self._builder.constants(sequence))
        steps = sequence.timesteps if timesteps is None else timesteps

        def over_time(tensor: Tensor) -> Tensor:
            repeated = tf.repeat(tensor[:, None], steps, axis=1)
            known = steps if isinstance(steps, int) else None
            return tf.ensure_shape(repeated, [tensor.shape[0], known, *tensor.shape[1:]])

        return Unrolled(over_time(output), state, tf.nest.map_structure(over_time, traces))

    def _step(
        self, at_t: Mapping[str, Tensor], state: State, constants: Any
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        output, new, traces = self._builder.step(at_t.get("inputs"), state, constants)
        if "valid" in at_t:
            new = freeze(at_t["valid"], new, state)
        # A loop's state must stay as specific as it was.
        new = tf.nest.map_structure(lambda n, o: tf.ensure_shape(n, o.shape), new, state)
        return output, new, {name: traces[name] for name in select_traces(self._traces, traces)}

    def _static_steps(self, whole: Shard, steps: int) -> tuple[Tensor, State, dict[str, Tensor]]:
        given, state, sequence = whole
        constants = self._builder.constants(sequence)
        outputs, recorded = [], []
        for t in range(steps):
            at_t = {name: over[:, t] for name, over in given.items()}
            output, state, traces = self._step(at_t, state, constants)
            outputs.append(output)
            recorded.append(traces)
        stacked = {name: tf.stack([at[name] for at in recorded], axis=1) for name in recorded[0]}
        return tf.stack(outputs, axis=1), state, stacked

    def _dynamic_steps(
        self, shards: list[Shard], steps: Any, compiled: bool
    ) -> list[tuple[Tensor, State, dict[str, Tensor]]]:
        """Run one loop for each shard."""
        weights = [tf.convert_to_tensor(variable.value) for variable in self._builder.variables]
        constants = [
            tf.nest.map_structure(_array_as_tensor, self._builder.constants(shard.sequence))
            for shard in shards
        ]
        scanned = [
            (
                shard.state,
                tf.nest.map_structure(_swap_time_and_batch, shard.given),
                (weights, [leaf for leaf in tf.nest.flatten(of_shard) if tf.is_tensor(leaf)]),
            )
            for shard, of_shard in zip(shards, constants, strict=True)
        ]
        scan = self._scan(*scanned[0], constants[0], compiled)
        results = []
        for nests, shard in zip(scanned, shards, strict=True):
            state, ys = scan(*nests, steps, keep=shard.sequence.training)
            outputs, traces = tf.nest.map_structure(_swap_time_and_batch, ys)
            results.append((outputs, state, traces))
        return results

    def _scan(
        self, state: State, xs: dict[str, Tensor], shared: Any, constants: Any, compiled: bool
    ) -> Scan | SegmentedScan:
        """Return the loop over steps of these shapes, traced once."""
        # Constants that are not tensors (training or not) are the same for every step and shard.
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
        """Return the step as a function of its weights and constants; the latter replace each TENSOR."""
        variables = list(self._builder.variables)

        def step(state: State, at_t: dict[str, Tensor], shared: Any) -> tuple[State, Any]:
            weights, tensors = shared
            left = iter(tensors)
            filled = [next(left) if leaf is TENSOR else leaf for leaf in tf.nest.flatten(constants)]
            with keras.StatelessScope(zip(variables, weights, strict=True)):
                output, state, traces = self._step(at_t, state, tf.nest.pack_sequence_as(constants, filled))
            return state, (output, traces)

        return step


def _array_as_tensor(leaf: Any) -> Any:
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _swap_time_and_batch(tensor: Tensor) -> Tensor:
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])
