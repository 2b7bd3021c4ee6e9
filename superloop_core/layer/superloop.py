"""Superloop, the Keras layer: a config's wiring, over all timesteps."""

import warnings
from collections.abc import Mapping
from collections.abc import Sequence as Seq
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import keras
import tensorflow as tf

from superloop_core.builder.noise import first_row_of_batch
from superloop_core.builder.protocol import Sequence
from superloop_core.config.forms import read_arguments
from superloop_core.config.reader import check_inputs
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import SourceError, SuperloopError
from superloop_core.inspect.trace import trace
from superloop_core.inspect.watch import watcher
from superloop_core.layer.arguments import check_arguments
from superloop_core.layer.assembly import assemble, freeze_frozen, made_with_frozen, with_frozen
from superloop_core.layer.feed import Feed, FeedReader
from superloop_core.layer.finite import require_finite
from superloop_core.layer.seeds import draw_seed, own_generator
from superloop_core.layer.state import StatefulStore
from superloop_core.loop.given_state import with_given
from superloop_core.loop.session import Session
from superloop_core.loop.shards import count_shards
from superloop_core.loop.single_step import take_single_step
from superloop_core.loop.trace_selection import ALL, checked_traces, select_traces
from superloop_core.loop.unroll import Unroll, Unrolled
from superloop_core.loop.wiring import LoopState
from superloop_core.names import INPUTS, LENGTHS, OUTPUTS
from superloop_core.system_settings import Shape
from superloop_core.traces import Traces

if keras.backend.backend() != "tensorflow":
    raise SuperloopError(
        f"superloop_core runs on Keras's TensorFlow backend, not on {keras.backend.backend()!r}: "
        "set KERAS_BACKEND=tensorflow before Keras is imported"
    )

OPTIONS = (
    "traces", "return_sequences", "return_state", "go_backwards", "stateful", "unroll", "jit_compile",
    "checkpoint_every", "debug",
)  # fmt: skip
FIXED = ("config", "traces", "stateful", "unroll", "checkpoint_every", "debug")
NOT_DISTRIBUTED = (
    "keras.distribution does nothing on TensorFlow, so each process computes whole batches by itself; use "
    "tf.distribute.MirroredStrategy with fit, or superloop_plugin_lab.distributed, and unset the distribution"
)


class StepConstants(NamedTuple):
    """What all timesteps of a sequence share: see :meth:`Superloop.constants`."""

    parts: Any
    seed: Any  # of the noise, (2,) of uint32; None: none is drawn


@keras.saving.register_keras_serializable("superloop_core")
class Superloop(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent network with external systems, as one Keras layer.

    Call it with a tensor ``(batch, timesteps, inputs)`` where the loop has no other input, with a list in the
    order of :attr:`input_shapes`, or with a dict: ``"inputs"`` (where inputs > 0); every source as
    ``"<id>_<source>"`` (``config.sources`` has the shapes; those that are optional may be left out);
    optionally ``"lengths"``, the number of valid timesteps of each batch element, ``(batch,)``; and
    optionally ``"initial_feedback"``, the read vectors at t = 0, ``(batch, feedback_size)``. A loop with
    neither inputs nor sources needs the last, since nothing else gives the batch size.

    A call returns the outputs ``(batch, timesteps - suppress_output, outputs)``, or only the last valid
    timestep's if ``return_sequences`` is False. Where traces are asked for, it returns a dict of
    ``"outputs"`` and every trace by name, each ``(batch, timesteps, ...)``. A trace of a state or of a
    read vector at t holds what the cells saw at step t.

    A mask ``(batch, timesteps)`` freezes every state where it is False; outputs and traces repeat those
    of the last valid timestep. ``"lengths"`` act in the same way. The mask is passed on to the next
    layers. Where a source is masked, the systems read zeros.

    The state at t = 0 is every part's own, plus the learned offsets, unless ``initial_state`` is given: a
    list of all tensors that :attr:`state_names` names, or a dict of some of them by name.

    Args:
        config: a :class:`~superloop_core.config.LoopConfig`, the path of a config file, or a dict: a
            config file's, its ``loop`` table's, or the original superloop's. A program may have an object in
            the place of a table: a Keras RNN cell, a System, a Builder, or another loop, whose weights it
            has then.
        cells: the loop's entries, in the place of a config; see :class:`~superloop_core.config.LoopConfig`.
        systems: likewise.
        inputs: likewise; None, also in a dict: the size that the first call has, 0 where it has none.
        outputs: likewise.
        timesteps: likewise.
        suppress_output: likewise.
        think_steps: likewise.
        outputs_read_systems: likewise.
        control_weights: likewise.
        output_weights: likewise.
        traces: names of the traces to record, such as ``"tape.position"``, or patterns, such as
            ``"tape.*"``; or ``"all"``.
        return_sequences: return the outputs of every timestep.
        return_state: return a tuple of the result and the tensors of the state after the last valid
            timestep.
        go_backwards: process the inputs from last to first, and return outputs in this order.
        stateful: start each call from the final state of the previous one; the batch size must be
            known, and stay the same. :meth:`reset_state` starts anew.
        unroll: unroll the timesteps statically; their number must be known.
        jit_compile: compile the loop and its gradient with XLA, once for each shape. ``"auto"``: inside
            a ``tf.function`` (``fit``, ``predict``) where the number of timesteps is known, unless a part
            of the loop has ``supports_jit = False``. A compiled loop runs on the CPU in several shards of
            the batch, side by side, and pads a smaller batch of ``fit`` or ``predict``, such as the last one,
            instead of compiling anew. An unrolled loop ignores it: it is compiled with the graph around it.
        checkpoint_every: in training, save the state of every n-th timestep only, and recompute the
            others in the backward pass: less memory, more time. An unrolled loop, or one outside a
            ``tf.function`` that is not compiled, saves everything.
        debug: raise an error that names the first tensor that is not finite, with its timestep and row:
            of inputs, sources, states and traces. Slow, and never compiled with XLA. Without it a row of NaN
            or infinity makes the gradients of all weights NaN, as in every layer of Keras.

    Raises:
        ConfigError: the config cannot be used.
        SourceError: at a call: an input is missing, unknown or of a wrong shape.
        TraceError: at a call: there is no trace of this name.
    """

    def __init__(
        self,
        config: LoopConfig | Mapping[str, Any] | str | Path | None = None,
        *,
        cells: Seq[Any] | None = None,
        systems: Seq[Any] | None = None,
        inputs: int | None = None,
        outputs: int | None = None,
        timesteps: int | None = None,
        suppress_output: int | None = None,
        think_steps: int | None = None,
        outputs_read_systems: bool | None = None,
        control_weights: Mapping[str, Any] | None = None,
        output_weights: Mapping[str, Any] | None = None,
        traces: Seq[str] | str = (),
        return_sequences: bool = True,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        jit_compile: bool | str = "auto",
        checkpoint_every: int = 1,
        debug: bool = False,
        **kwargs: Any,
    ):
        check_arguments(self, kwargs)
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.config, self._inputs_are_known = read_arguments(
            config,
            {
                "cells": cells,
                "systems": systems,
                "inputs": inputs,
                "outputs": outputs,
                "timesteps": timesteps,
                "suppress_output": suppress_output,
                "think_steps": think_steps,
                "outputs_read_systems": outputs_read_systems,
                "control_weights": control_weights,
                "output_weights": output_weights,
            },
        )
        self.traces = traces
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        if jit_compile not in (True, False, "auto"):
            raise SuperloopError(f"jit_compile must be True, False or 'auto': {jit_compile!r}")
        if type(checkpoint_every) is not int or checkpoint_every < 1:
            raise SuperloopError(f"checkpoint_every must be an int >= 1: {checkpoint_every!r}")
        self.jit_compile = jit_compile
        self.checkpoint_every = checkpoint_every
        self.debug = debug
        if debug:
            self.supports_jit = False  # XLA cannot stop at a number
        self.wiring = assemble(self.config, self.dtype_policy)
        freeze_frozen(self)
        if self._inputs_are_known:
            self._check_direction()
        # Until they are known, inputs are taken to be there.
        expected = self.config if self._inputs_are_known else attrs.evolve(self.config, inputs=1)
        self._reader = FeedReader(expected, self.name, self.dtype_policy)
        self._unroll = Unroll(
            self.wiring,
            static=unroll,
            traces=ALL if debug else self.traces,
            checkpoint_every=checkpoint_every,
        )
        self._store: StatefulStore | None = None
        self._trace_names: tuple[str, ...] | None = None  # of a call's results, once compute_mask needs them

    def __setattr__(self, name: str, value: Any) -> None:
        value = checked_traces(value) if name == "traces" else value
        if name in FIXED and name in self.__dict__ and value != getattr(self, name):
            now = "call the layer's trace(inputs, traces), or " if name == "traces" else ""
            raise SuperloopError(
                f"{self.name}: {name!r} is fixed when the layer is made; {now}make another with it, "
                "build it, and call set_weights with this layer's get_weights()"
            )
        super().__setattr__(name, value)

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shapes of the inputs that a call must have, by name, without the batch axis.

        Raises:
            SuperloopError: the size of the inputs was not given, and the layer is not built yet.
        """
        if not self._inputs_are_known:
            raise SuperloopError(
                f"{self.name}: the size of its inputs is known once it is built; build it, or set inputs="
            )
        return self.config.input_shapes

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """Paths of the state's tensors, such as ``tape.position``, in the order of ``return_state``."""
        return tuple(self.wiring.state_names(self._state_specs))

    @cached_property
    def _state_specs(self) -> LoopState:
        return self.wiring.state_specs()

    @cached_property
    def _sized_by_timesteps(self) -> tuple[str, ...]:
        """Paths of the state's tensors whose size depends on the number of timesteps."""
        specs = tf.nest.flatten(self._state_specs)
        if all(spec.shape[1:].is_fully_defined() for spec in specs):
            return ()
        of_one = tf.nest.flatten(self.wiring.state_specs(timesteps=1))
        pairs = zip(self.state_names, specs, of_one, strict=True)
        return tuple(name for name, one, other in pairs if one.shape.as_list() != other.shape.as_list())

    def symbolic_inputs(
        self, batch_size: int | None = None, *, lengths: bool = False, optional: bool = False
    ) -> Any:
        """Return Keras inputs for a functional model: one for each of :attr:`input_shapes`.

        Args:
            batch_size: None where it is not known.
            lengths: include ``"lengths"``, ``(batch,)`` of int32.
            optional: include the sources that a call may leave out.

        Returns:
            a dict by name, or the tensor of the inputs where there is nothing else.
        """
        shapes: dict[str, Shape] = self.input_shapes | ({LENGTHS: ()} if lengths else {})
        shapes |= self.config.sources if optional else {}
        made = {
            name: keras.Input(shape, batch_size=batch_size, dtype=self._reader.dtype_of(name), name=name)
            for name, shape in shapes.items()
        }
        return made[INPUTS] if list(made) == [INPUTS] else made

    def build(self, inputs_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the weights; sizes come from the config, and a stateful layer's batch size from here."""
        del initial_state_shape
        if not self._inputs_are_known:
            self._infer_inputs(inputs_shape)
        if keras.distribution.distribution() is not None:
            warnings.warn(f"{self.name}: {NOT_DISTRIBUTED}", stacklevel=2)
        if not self.wiring.built:  # a build that was refused further down has made its weights
            self.wiring.build(self.config.inputs)
        freeze_frozen(self)
        self._seeds = own_generator(self.wiring)
        if self.stateful:
            shapes = self._reader.by_name(inputs_shape)
            batch_size = next(iter(shapes.values()))[0]
            if batch_size is None:
                raise SourceError(
                    f"{self.name}: stateful = True needs the batch size: give the inputs a batch_size"
                )
            sources = {name: shapes[name] for name in self.config.sources if name in shapes}
            specs = self.wiring.state_specs(sources, timesteps=None)
            self._store = StatefulStore(specs, batch_size, self.name)

    def call(self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Run the loop: see the class."""
        feed, sequence, state = self._start(inputs, initial_state, mask, training)
        compiled = self._compiles(feed)
        shards = count_shards(sequence.batch_size, state) if compiled else 1
        watch = watcher()
        unroll = self._unroll if watch is None else watch.unroll(self)
        unrolled = unroll(
            feed.inputs,
            sequence,
            state,
            timesteps=feed.timesteps,
            mask=feed.mask,
            jit_compile=compiled,
            shards=shards,
        )
        if self.debug:
            self._require_finite(feed, state, unrolled)
        for loss in unrolled.losses:
            self.add_loss(tf.cast(loss, keras.config.floatx()))  # as Keras adds its own to it
        if watch is not None:
            watch.called(self, {INPUTS: feed.inputs, "mask": feed.mask, **feed.sources}, unrolled)
        elif self._store is not None:
            self._store.save(unrolled.state)
        return self._result(unrolled)

    def trace(self, inputs: Any, traces: Seq[str] | str = ALL, **how: Any) -> Traces:
        """Call the built layer outside of training, and return what it did, as arrays by name.

        See :func:`superloop_core.trace`, which takes a whole model. A layer that goes backwards gives its
        traces in the order of processing.

        Args:
            inputs: as in a call.
            traces: names or patterns, or ``"all"``; those of the layer do not matter.
            how: ``initial_state`` and ``mask``, as in a call.

        Raises:
            SourceError: as in a call.
            SuperloopError: the layer has no weights yet, or this is inside a ``tf.function``.
            TraceError: a name or pattern matches no trace.
        """
        self._require_weights()
        return trace(self, inputs, traces, **how)

    def compute_output_spec(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the specs of a call's results; runs one step."""
        if not self.built:
            with tf.Graph().as_default():  # where the weights of a twin are not allocated
                twin = type(self).from_config(self.get_config())
                twin.build(keras.tree.map_structure(lambda tensor: tensor.shape, inputs))
                return twin.compute_output_spec(inputs, initial_state, mask, training)
        spec = _Traced(self._placeholders).compute_output_spec(inputs, initial_state, mask, training)
        if isinstance(spec, SuperloopError):
            raise spec
        return spec

    def compute_output_shape(self, inputs_shape: Any, initial_state_shape: Any = None) -> Any:
        """Return the shapes of a call's results; None where the batch size or timesteps are not known."""
        feed = {
            name: keras.KerasTensor(shape, dtype=self._reader.dtype_of(name))
            for name, shape in self._reader.by_name(inputs_shape).items()
        }
        return keras.tree.map_structure(lambda tensor: tensor.shape, self.compute_output_spec(feed))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the outputs, where they are a sequence, and of the traces."""
        mask = self._reader.mask_of_inputs(inputs, previous_mask)
        if mask is None:
            return None
        if self.go_backwards:
            mask = keras.ops.flip(mask, axis=1)
        of_outputs = mask[:, self.config.suppress_output :] if self.return_sequences else None
        answer = of_outputs
        if self.traces:
            if self._trace_names is None:
                specs = keras.tree.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype), inputs)
                spec = self.compute_output_spec(specs)
                self._trace_names = tuple(spec[0] if self.return_state else spec)
            answer = dict.fromkeys(self._trace_names, mask) | {OUTPUTS: of_outputs}
        return (answer, *(None for _ in self.state_names)) if self.return_state else answer

    def session(
        self,
        sources: Mapping[str, Any] | None = None,
        *,
        batch_size: int | None = None,
        timesteps: int | None = None,
        initial_state: Any = None,
        traces: Seq[str] | str | None = None,
    ) -> Session:
        """Open a :class:`~superloop_core.Session`, which takes one timestep at a time.

        Args:
            sources: the systems' sources by name, and ``"initial_feedback"`` where it is given.
            batch_size: used where there is no source to read it from; 1 by default.
            timesteps: their number, for systems that depend on it; None: the config's, if it has one.
            initial_state: as in a call.
            traces: as in the class; None: the layer's.

        Raises:
            SourceError: a source is missing, unknown or of a wrong shape.
            SuperloopError: the layer has no weights yet, or this is inside a ``tf.function``.
        """
        feed, sequence = self._single_steps(batch_size, sources, timesteps, training=False)
        number = sequence.timesteps
        return Session(
            self.wiring,
            sequence,
            self._initial_state(feed, sequence, initial_state),
            input_size=self.config.inputs,
            most=number if isinstance(number, int) and self._sized_by_timesteps else None,
            traces=self.traces if traces is None else checked_traces(traces),
            owner=self.name,
        )

    def initial_state(
        self,
        batch_size: Any = None,
        sources: Mapping[str, Any] | None = None,
        *,
        timesteps: Any = None,
        initial_state: Any = None,
    ) -> dict[str, Any]:
        """Return the state at t = 0, for :meth:`step`.

        Args:
            batch_size: an int or a scalar tensor; used where there is no source to read it from; 1 if None.
            sources: as for :meth:`session`.
            timesteps: their number, for systems that depend on it; None: the config's, if it has one.
            initial_state: as in a call.

        Returns:
            tensors by path, each ``(batch, ...)``.

        Raises:
            SourceError: a source is missing, unknown or of a wrong shape.
            SuperloopError: the layer has no weights yet.
        """
        # The seed is that of the constants, which are asked for next.
        feed, sequence = self._single_steps(batch_size, sources, timesteps, training=False, peek=True)
        state = self._initial_state(feed, sequence, initial_state)
        return dict(zip(self.wiring.state_names(state), tf.nest.flatten(state), strict=True))

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Return the state at t = 0 of a loop without sources, as ``keras.layers.RNN`` does."""
        return list(self.initial_state(batch_size).values())

    def constants(
        self,
        batch_size: Any = None,
        sources: Mapping[str, Any] | None = None,
        *,
        timesteps: Any = None,
        training: bool = False,
    ) -> StepConstants:
        """Return what all timesteps of a sequence share, for :meth:`step`: sources, dropout masks, the seed.

        It depends on the weights: compute it anew once they have changed.

        Args:
            batch_size: as for :meth:`initial_state`, and so are the errors.
            sources: likewise.
            timesteps: likewise.
            training: whether dropout is drawn, and layers are in training.

        Returns:
            a nest of tensors, which a ``tf.function`` takes as an argument.
        """
        _, sequence = self._single_steps(batch_size, sources, timesteps, training)
        return StepConstants(self.wiring.constants(sequence), sequence.seed)

    def step(
        self, inputs: Any, state: Any, constants: StepConstants, *, timestep: Any = None
    ) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Take one timestep, as a function of the arguments and the weights: nothing is stored.

        ::

            state, constants = loop.initial_state(4, sources), loop.constants(4, sources)
            for t in range(timesteps):
                output, state, traces = loop.step(inputs[:, t], state, constants)

        It works in a ``tf.function``, in a loop of your own, and as the signature of a SavedModel. Outputs
        are those of a call with the whole sequence, also those that ``suppress_output`` drops.

        Args:
            inputs: ``(batch, inputs)``; None where the loop has no inputs.
            state: the result of :meth:`initial_state` or of the previous step; or a list of its tensors.
            constants: the result of :meth:`constants`.
            timestep: its number, an int or a scalar tensor; needed where the loop draws noise.

        Returns:
            the output ``(batch, outputs)``; the next state, by path; and all traces by name, each
            ``(batch, ...)``.

        Raises:
            SourceError: the inputs or the state do not fit.
            SuperloopError: the timestep is needed; or a part assigns to a weight.
        """
        if constants.seed is not None and timestep is None:
            raise SuperloopError(f"{self.name}: the loop draws noise, so a step needs its number: timestep=t")
        if inputs is not None:
            inputs = tf.cast(tf.convert_to_tensor(inputs), self.compute_dtype)
        received = None if inputs is None else inputs.shape[1:]
        if received != ((self.config.inputs,) if self.config.inputs else None):
            wanted = f"(batch, {self.config.inputs})" if self.config.inputs else None
            shape = None if inputs is None else tuple(inputs.shape)
            raise SourceError(f"{self.name}: a step takes inputs of the shape {wanted}: {shape}")
        packed = self._packed(state)
        output, new, traces = take_single_step(
            self.wiring, inputs, packed, constants.parts, seed=constants.seed, timestep=timestep
        )
        return output, dict(zip(self.state_names, tf.nest.flatten(new), strict=True)), traces

    @property
    def states(self) -> tuple[Any, ...] | None:
        """What a stateful layer stores between calls, in the order of :attr:`state_names`; else None."""
        return None if self._store is None else tuple(self._store.tensors)

    @property
    def kept_state(self) -> dict[str, Any] | None:
        """What a stateful layer's next call starts from, by path; None: from the state at t = 0."""
        stored = None if self._store is None else self._store.stored
        return None if stored is None else dict(zip(self.state_names, stored, strict=True))

    def reset_state(self, values: Any = None) -> None:
        """Let a stateful layer's next call start from the state at t = 0, or from one that is given.

        Args:
            values: all tensors of the state, by path as in :attr:`kept_state`, or in a list.

        Raises:
            SourceError: they do not fit, or the layer stores no state; nothing is changed.
        """
        if values is None:
            if self._store is not None:
                self._store.clear()
            return
        if self._store is None:
            raise SourceError(f"{self.name}: stores no state: make it with stateful=True, and build it")
        self._store.save(self._packed(values, self._store.tensors))

    reset_states = reset_state  # the name in older versions of Keras

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``, plugins by their qualified names, and what is frozen."""
        own = {name: getattr(self, name) for name in OPTIONS}
        loop = self.config.to_dict() | ({} if self._inputs_are_known else {"inputs": None})
        return with_frozen(self, dict(super().get_config(), config=loop, **own))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Superloop":
        """Make the layer; errors stay as they are, where Keras would reword them."""
        made: Superloop = made_with_frozen(cls, config)
        return made

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Let TensorFlow's SavedModels find the stored state, which is no weight."""
        children: dict[str, Any] = super()._trackable_children(save_type, **kwargs)
        stored = [] if self._store is None else self._store.variables
        return children | {f"state_{index}": variable for index, variable in enumerate(stored)}

    def _infer_inputs(self, inputs_shape: Any) -> None:
        """Take the size of the inputs from the shapes of a call, in which they may be missing."""
        shape = self._reader.by_name(inputs_shape).get(INPUTS)
        size = shape[-1] if shape else 0
        if size is None:
            raise SourceError(f"{self.name}: the size of the inputs must be known: {shape}; set inputs=")
        object.__setattr__(self, "config", attrs.evolve(self.config, inputs=size))
        self._inputs_are_known = True
        check_inputs(self.config, self.name)
        self._check_direction()
        self._reader = FeedReader(self.config, self.name, self.dtype_policy)

    def _check_direction(self) -> None:
        if self.go_backwards and not self.config.inputs:
            raise SuperloopError("go_backwards needs inputs to process from last to first, but inputs = 0")

    def _start(
        self, inputs: Any, initial_state: Any, mask: Any, training: bool
    ) -> tuple[Feed, Sequence, LoopState]:
        """Check a call's arguments; return its feed, its sequence and the state at t = 0."""
        feed = self._reader.read(inputs, mask)
        self._check_timesteps(feed)
        if self.go_backwards:
            feed = feed.backwards()
        # A stateful layer is given chunks of a sequence whose length is not known.
        known = attrs.evolve(feed, timesteps=None, mask=None) if self.stateful else feed
        sequence = self._sequence(known, training)
        return feed, sequence, self._initial_state(feed, sequence, initial_state, self._store)

    def _single_steps(
        self,
        batch_size: Any,
        sources: Mapping[str, Any] | None,
        timesteps: Any,
        training: bool,
        *,
        peek: bool = False,
    ) -> tuple[Feed, Sequence]:
        """Check the arguments of a sequence that is taken step by step."""
        self._require_weights()
        feed = self._reader.read(dict(sources or {}), one_timestep=True)
        if feed.batch_size is None:
            feed = attrs.evolve(feed, batch_size=1 if batch_size is None else batch_size)
        elif isinstance(batch_size, int) and batch_size != feed.batch_size:
            raise SourceError(
                f"{self.name}: batch_size is {batch_size}, but the sources have {feed.batch_size}"
            )
        feed = attrs.evolve(feed, timesteps=timesteps or feed.timesteps)
        return feed, self._sequence(feed, training, peek=peek)

    def _require_weights(self) -> None:
        if not self.built:
            raise SuperloopError(f"{self.name}: has no weights yet; first call it, or build a model with it")

    def _packed(self, given: Any, like: Seq[Any] | None = None) -> LoopState:
        """Return a whole state that is given, packed; ``like`` has its shapes and dtypes."""
        specs = self._state_specs
        state = tf.nest.pack_sequence_as(specs, like) if like is not None else specs
        names = self.state_names
        if isinstance(given, Mapping) and (missing := [name for name in names if name not in given]):
            raise SourceError(f"{self.name}: a state must have all tensors, but {missing[0]!r} is missing")
        packed: LoopState = with_given(state, list(names), given, self.name)
        return packed

    def _sequence(self, feed: Feed, training: bool, *, peek: bool = False) -> Sequence:
        return Sequence(
            batch_size=feed.batch_size,
            timesteps=feed.timesteps,
            lengths=feed.lengths,
            dtype=self.compute_dtype,
            sources=feed.sources,
            masks=feed.source_masks,
            training=bool(training),
            seed=draw_seed(self.wiring, self._seeds, training, peek=peek),
            first_row=first_row_of_batch(),
        )

    def _initial_state(
        self, feed: Feed, sequence: Sequence, given: Any, store: StatefulStore | None = None
    ) -> LoopState:
        state = self.wiring.initial_state(sequence)
        if store is not None:
            state = store.load(state, feed.batch_size)
        if given is not None:
            named = given if isinstance(given, Mapping) else self.state_names
            if sized := next((name for name in self._sized_by_timesteps if name in named), ""):
                raise SourceError(
                    f"{self.name}: {sized!r} is as large as one call needs, so a call cannot go on with the "
                    "state of another; set the size of this memory, such as its 'capacity' or 'slots'"
                )
            state = with_given(state, self.wiring.state_names(state), given, self.name)
        if feed.feedback is not None:
            state = self.wiring.with_feedback(state, feed.feedback)
        return state

    def _result(self, unrolled: Unrolled) -> Any:
        """Return what a call returns."""
        outputs = unrolled.outputs
        result = outputs[:, self.config.suppress_output :] if self.return_sequences else outputs[:, -1]
        if self.traces:
            chosen = select_traces(self.traces, unrolled.traces)
            result = {name: unrolled.traces[name] for name in chosen} | {OUTPUTS: result}
        return (result, *tf.nest.flatten(unrolled.state)) if self.return_state else result

    def _require_finite(self, feed: Feed, state: LoopState, unrolled: Unrolled) -> None:
        names = self.wiring.state_names(state)
        once = dict(feed.sources) | {
            f"{name} at the start": tensor for name, tensor in zip(names, tf.nest.flatten(state), strict=True)
        }
        inputs = feed.inputs
        if inputs is not None and feed.mask is not None:
            inputs = tf.where(feed.mask[:, :, None], inputs, tf.zeros_like(inputs))
        over_time = ({} if inputs is None else {INPUTS: inputs}) | unrolled.traces
        require_finite(self.name, once, over_time)

    def _placeholders(self, inputs: Any, initial_state: Any, mask: Any, training: bool) -> Any:
        """Return placeholders with a call's shapes and dtypes, or the error that a call raises."""
        try:
            feed, sequence, state = self._start(inputs, initial_state, mask, training)
            timesteps, mask = feed.timesteps, feed.mask
            return self._result(
                self._unroll.placeholders(feed.inputs, sequence, state, timesteps=timesteps, mask=mask)
            )
        except SuperloopError as error:
            return error

    def _check_timesteps(self, feed: Feed) -> None:
        if isinstance(feed.timesteps, int) and feed.timesteps <= self.config.suppress_output:
            raise SourceError(
                f"{self.name}: a sequence must have more timesteps than suppress_output = "
                f"{self.config.suppress_output}: {feed.timesteps}"
            )
        if self.unroll and not isinstance(feed.timesteps, int):
            raise SourceError(
                f"{self.name}: unroll = True needs the number of timesteps: set 'timesteps' in the "
                "config, or give inputs of a known shape"
            )

    def _compiles(self, feed: Feed) -> bool:
        if self.jit_compile != "auto" or self.debug:
            return bool(self.jit_compile) and not self.debug
        known = isinstance(feed.timesteps, int)
        return known and self.wiring.supports_jit and not tf.executing_eagerly()


class _Traced(keras.Operation):  # type: ignore[misc]
    """A function whose specs Keras computes."""

    def __init__(self, function: Any):
        super().__init__()
        self.call = function
