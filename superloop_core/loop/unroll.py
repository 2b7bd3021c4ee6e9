"""All timesteps of any Builder: unrolled statically, or in one loop."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.noise import noise_of
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.errors import SuperloopError
from superloop_core.loop.batch_sizes import choose_rows
from superloop_core.loop.masks import freeze, hold
from superloop_core.loop.scan import ASSIGNS, Scan, SegmentedScan, ensure_shape
from superloop_core.loop.shards import Shard, first_rows, join_rows, pad_rows, split_rows
from superloop_core.loop.trace_selection import select_traces
from superloop_core.names import is_loss

TENSOR = object()  # stands for a tensor among constants


class Unrolled(NamedTuple):
    """The results of a loop."""

    outputs: Tensor  # (batch, timesteps, output_size)
    state: State  # after the last valid timestep
    traces: dict[str, Tensor]  # each (batch, timesteps, ...)
    losses: list[Tensor]  # scalars, to be added to the loss


class Results(NamedTuple):
    """The results of a shard's loop."""

    outputs: Tensor
    state: State
    traces: dict[str, Tensor]
    losses: dict[str, Tensor]  # that steps name: (batch,), the sum of the valid timesteps
    added: list[Tensor]  # by ``add_loss`` in a compiled step: scalars, the sum of all timesteps


class StepResults(NamedTuple):
    """The results of one timestep."""

    output: Tensor
    traces: dict[str, Tensor]
    losses: dict[str, Tensor]  # each (batch,), 0 where the row is not valid
    added: list[Tensor]


class Effects(NamedTuple):
    """What a step does besides returning its results."""

    updated: tuple[int, ...] = ()  # numbers of the weights that it assigns to
    losses: bool = False  # whether it calls add_loss


class _EffectsFound(Exception):
    """A step has effects that its loop was not made for."""

    def __init__(self, effects: Effects):
        super().__init__(effects)
        self.effects = effects


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
        self._effects: dict[bool, Effects] = {}  # in training, and not
        self._constants_effects: dict[Any, bool] = {}  # in training, and not, by what sequences have

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
            jit_compile: compile the loop and its gradient with XLA, once for each shape; a batch whose
                size is not known before the graph runs is padded to one that was compiled before. A static
                loop is compiled with the graph around it.
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
            results = self._dynamic_steps(whole, shards, steps, jit_compile)
        outputs, traces = results.outputs, results.traces
        if mask is not None:
            outputs, traces = hold((outputs, traces), mask)
        losses = [tf.reduce_mean(loss) for loss in results.losses.values()]
        return Unrolled(outputs, results.state, traces, losses + results.added)

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
        state, at = self._step(
            at_0, state, self._builder.constants(sequence), (sequence.seed, sequence.first_row), 0
        )
        steps = sequence.timesteps if timesteps is None else timesteps

        def over_time(tensor: Tensor) -> Tensor:
            repeated = tf.repeat(tensor[:, None], steps, axis=1)
            known = steps if isinstance(steps, int) else None
            return tf.ensure_shape(repeated, [tensor.shape[0], known, *tensor.shape[1:]])

        return Unrolled(over_time(at.output), state, tf.nest.map_structure(over_time, at.traces), [])

    def _step(
        self, at_t: Mapping[str, Tensor], state: State, constants: Any, noise: tuple[Any, Any], timestep: Any
    ) -> tuple[State, StepResults]:
        """Take one timestep; ``noise`` is the seed and the number of the first row."""
        with noise_of(*noise, timestep=timestep):
            output, new, traces = self._builder.step(at_t.get("inputs"), state, constants)
        losses = {name: _at_least_float32(tensor) for name, tensor in traces.items() if is_loss(name)}
        if "valid" in at_t:
            new = freeze(at_t["valid"], new, state)
            losses = freeze(at_t["valid"], losses, tf.nest.map_structure(tf.zeros_like, losses))
        # A loop's state must stay as specific as it was.
        new = tf.nest.map_structure(lambda n, o: ensure_shape(n, o.shape), new, state)
        chosen = {name: traces[name] for name in select_traces(self._traces, traces)}
        return new, StepResults(output, chosen, losses, [])

    def _static_steps(self, whole: Shard, steps: int) -> Results:
        given, state, sequence = whole
        constants, noise = self._builder.constants(sequence), (sequence.seed, sequence.first_row)
        taken = []
        for t in range(steps):
            at_t = {name: over[:, t] for name, over in given.items()}
            state, at = self._step(at_t, state, constants, noise, t)
            taken.append(at)
        stacked = {name: tf.stack([at.traces[name] for at in taken], axis=1) for name in taken[0].traces}
        losses = {name: tf.add_n([at.losses[name] for at in taken]) for name in taken[0].losses}
        return Results(tf.stack([at.output for at in taken], axis=1), state, stacked, losses, [])

    def _dynamic_steps(self, whole: Shard, shards: int, steps: Any, compiled: bool) -> Results:
        """Run one loop for each shard; a loop with effects is one shard, without padding."""
        training, rows = bool(whole.sequence.training), whole.sequence.batch_size
        effects = self._effects.get(training, Effects())
        try:
            if any(effects) or (compiled and self._constants_have_effects(whole.sequence)):
                return self._loops([whole], steps, compiled, effects)
            # A graph within XLA's is compiled with it, for one size.
            if not compiled or isinstance(rows, int) or tf.__internal__.get_enclosing_xla_context():
                return self._loops(split_rows(whole, shards), steps, compiled, effects)
            padded = pad_rows(whole, choose_rows(rows, shards))
            results = self._loops(split_rows(padded, shards), steps, compiled, effects)
            return Results(*first_rows(results, rows))
        except _EffectsFound as found:
            self._effects[training] = found.effects
            return self._dynamic_steps(whole, shards, steps, compiled)

    def _constants_have_effects(self, sequence: Sequence) -> bool:
        """Return whether ``constants`` assigns to variables or adds losses, by a trace without effects."""
        key = bool(sequence.training), (*sequence.sources,), (*sequence.masks,)
        if key not in self._constants_effects:
            scope = keras.StatelessScope(collect_losses=True)

            def trial() -> None:
                with scope:
                    self._builder.constants(sequence)

            graph = tf.function(trial, autograph=False).get_concrete_function().graph
            assigns = any(operation.type.startswith("Assign") for operation in graph.get_operations())
            self._constants_effects[key] = assigns or bool(scope.losses or scope.state_mapping)
        return self._constants_effects[key]

    def _loops(self, shards: list[Shard], steps: Any, compiled: bool, effects: Effects) -> Results:
        weights = [tf.convert_to_tensor(variable.value) for variable in self._builder.variables]
        updated = [weights[index] for index in effects.updated]
        scanned, constants = [], []
        for given, state, sequence in shards:
            constants.append(tf.nest.map_structure(_array_as_tensor, self._builder.constants(sequence)))
            xs = tf.nest.map_structure(_swap_time_and_batch, given)
            noise = [] if sequence.seed is None else [sequence.seed, tf.convert_to_tensor(sequence.first_row)]
            if noise:
                xs["timestep"] = tf.range(steps)
            tensors = [leaf for leaf in tf.nest.flatten(constants[-1]) if tf.is_tensor(leaf)]
            scanned.append(((state, updated), xs, (weights, tensors, noise)))
        scan = self._scan(*scanned[0], constants[0], compiled, effects)
        results = []
        for nests, shard in zip(scanned, shards, strict=True):
            (state, updated), ys = scan(*nests, steps, keep=shard.sequence.training)
            outputs, traces = tf.nest.map_structure(_swap_time_and_batch, (ys.output, ys.traces))
            losses, added = tf.nest.map_structure(lambda y: tf.reduce_sum(y, axis=0), (ys.losses, ys.added))
            results.append(Results(outputs, state, traces, losses, added))
        for index, value in zip(effects.updated, updated, strict=True):
            self._builder.variables[index].assign(value)
        joined: Results = join_rows(results)
        return joined

    def _scan(
        self,
        carry: Any,
        xs: dict[str, Tensor],
        shared: Any,
        constants: Any,
        compiled: bool,
        effects: Effects,
    ) -> Scan | SegmentedScan:
        """Return the loop over steps of these shapes, traced once."""
        # Constants that are not tensors (training or not) are the same for every step and shard.
        others = tf.nest.map_structure(lambda leaf: TENSOR if tf.is_tensor(leaf) else leaf, constants)

        def spec(tensor: Tensor) -> tf.TensorSpec:
            return tf.TensorSpec(tensor.shape, tensor.dtype)

        examples = (
            tf.nest.map_structure(spec, carry),
            tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), xs),
            tf.nest.map_structure(spec, shared),
        )
        key = compiled, tuple(xs), repr(others), tuple(tf.nest.flatten(examples)), effects
        if key not in self._scans:
            options: Any = {"compiled": compiled}
            make: Any = Scan
            if self._checkpoint_every > 1:
                make, options["every"] = SegmentedScan, self._checkpoint_every
            self._scans[key] = make(self._step_of_scan(others, effects), *examples, **options)
        return self._scans[key]

    def _step_of_scan(self, constants: Any, effects: Effects) -> Any:
        """Return the step as a function of its weights and constants; the latter replace each TENSOR."""
        variables = list(self._builder.variables)

        def step(carry: Any, at_t: dict[str, Tensor], shared: Any) -> tuple[Any, StepResults]:
            state, updated = carry
            weights, tensors, noise = shared
            left = iter(tensors)
            filled = [next(left) if leaf is TENSOR else leaf for leaf in tf.nest.flatten(constants)]
            packed = tf.nest.pack_sequence_as(constants, filled)
            scope = keras.StatelessScope(zip(variables, weights, strict=True), collect_losses=True)
            for index, value in zip(effects.updated, updated, strict=True):
                scope.add_update((variables[index], value))
            before = [scope.state_mapping[id(variable)] for variable in variables]
            with scope:
                state, at = self._step(at_t, state, packed, tuple(noise) or (None, 0), at_t.get("timestep"))
            after = [scope.state_mapping[id(variable)] for variable in variables]
            assigned = [i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] is not pair[1]]
            _check_assigned([variables[index] for index in assigned], len(scope.state_mapping) > len(before))
            found = Effects(tuple(sorted({*effects.updated, *assigned})), bool(scope.losses))
            if found != effects:
                raise _EffectsFound(found)
            updated = [after[index] for index in effects.updated]
            return (state, updated), at._replace(added=[tf.cast(loss, "float32") for loss in scope.losses])

        return step


def _check_assigned(variables: Iterable[Any], others: bool) -> None:
    """Require that a step assigns to weights of the part only, and to none that is trained."""
    if others:
        raise SuperloopError(f"{ASSIGNS}; a layer or a SeedGenerator must be an attribute of the part")
    for variable in variables:
        if variable.trainable:
            raise SuperloopError(
                f"a step assigns to the weight {variable.path!r}, which is trained; make it with "
                "add_weight(..., trainable=False), or put it in the state"
            )


def _array_as_tensor(leaf: Any) -> Any:
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _swap_time_and_batch(tensor: Tensor) -> Tensor:
    return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])


def _at_least_float32(tensor: Tensor) -> Tensor:
    """Return a loss in a dtype that a sum over timesteps keeps."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor
