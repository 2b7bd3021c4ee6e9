"""Superloop, the Keras layer: a config's wiring, over all timesteps."""

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import keras
import tensorflow as tf

from superloop_core.builder.protocol import Sequence
from superloop_core.config.forms import read_any
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import SourceError, SuperloopError
from superloop_core.layer.assembly import assemble
from superloop_core.layer.feed import INPUTS, OUTPUTS, Feed, FeedReader, by_name
from superloop_core.layer.state import KeptState, replaced
from superloop_core.loop.rows import count_parts
from superloop_core.loop.session import Session
from superloop_core.loop.traces import checked_traces
from superloop_core.loop.unroll import Loop
from superloop_core.loop.wiring import LoopState

if keras.backend.backend() != "tensorflow":
    raise SuperloopError(
        f"superloop_core runs on Keras's TensorFlow backend, not on {keras.backend.backend()!r}: "
        "set KERAS_BACKEND=tensorflow before Keras is imported"
    )


@keras.saving.register_keras_serializable("superloop_core")
class Superloop(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent network with external systems, as one Keras layer.

    Call it with a tensor ``(batch, timesteps, inputs)`` where the loop takes nothing else, or with a
    dict: ``"inputs"`` (where inputs > 0), every source as ``"<id>_<source>"`` (the shapes are
    ``config.sources``), and, if you like, ``"lengths"``, the valid timesteps of each row, ``(batch,)``,
    and ``"initial_feedback"``, ``(batch, feedback_size)``, which is what the cells see of the systems at
    t = 0. A loop with neither inputs nor sources needs the last, since nothing else tells the batch size.

    It answers with the outputs ``(batch, timesteps - suppress_output, outputs)``, or with the last
    valid timestep's if ``return_sequences`` is False; where traces are asked for, with a dict of
    ``"outputs"`` and every trace by name, each ``(batch, timesteps, ...)``. A trace of a state or a
    read at t holds what the cells saw as they took step t.

    A mask ``(batch, timesteps)`` freezes every state where it is False, and outputs and traces repeat
    those of the last valid timestep; so do ``"lengths"``. It goes on to the layers that come after. Where
    a source is masked, the systems read zeros.

    The state at t = 0 is every part's own, plus what is learned of it, unless ``initial_state`` is given:
    a list of all the tensors that :attr:`state_names` names, or a dict of some of them by name.

    Args:
        config: a :class:`~superloop_core.config.LoopConfig`, the path of a config file, or a dict: a
            config file's, its ``loop`` table's, or the original superloop's.
        traces: names of the traces to record, such as ``"tape.position"``, or patterns, such as
            ``"tape.*"``; or ``"all"``.
        return_sequences: whether to answer with every timestep's output.
        return_state: whether to answer with a tuple: what it would answer, and the tensors of the state
            after the last valid timestep.
        go_backwards: whether to take the inputs last to first, and to answer in this order.
        stateful: whether a call begins with the state that the last one ended with; the number of rows
            must be known then, and stay. :meth:`reset_state` begins anew.
        unroll: whether to unroll the timesteps statically; they must be known then.
        jit_compile: whether to compile the loop and its gradient with XLA, once for each shape.
            ``"auto"``: inside a ``tf.function`` (``fit``, ``predict``) where the number of timesteps is
            known, unless a part of the loop has ``supports_jit = False``. A loop that is compiled runs
            on the CPU as several side by side, each on a part of the batch. It says nothing of an
            unrolled loop, which is compiled with the graph it stands in.
        checkpoint_every: keep the state of one timestep in so many in training, and compute those
            between once more on the way back: less memory, more time. An unrolled loop, or one outside
            a ``tf.function`` that is not compiled, keeps everything.

    Raises:
        ConfigError: the config cannot be used.
        SourceError: at a call: something is missing, unknown or of a wrong shape.
        TraceError: at a call: there is no trace of this name.
    """

    def __init__(
        self,
        config: LoopConfig | Mapping[str, Any] | str | Path,
        *,
        traces: Seq[str] | str = (),
        return_sequences: bool = True,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        jit_compile: bool | str = "auto",
        checkpoint_every: int = 1,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.config = read_any(config)
        self.traces = checked_traces(traces)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        if jit_compile not in (True, False, "auto"):
            raise SuperloopError(f"jit_compile must be True, False or 'auto': {jit_compile!r}")
        if type(checkpoint_every) is not int or checkpoint_every < 1:
            raise SuperloopError(f"checkpoint_every must be an int >= 1: {checkpoint_every!r}")
        if go_backwards and not self.config.inputs:
            raise SuperloopError("go_backwards needs inputs to take last to first, but inputs = 0")
        self.jit_compile = jit_compile
        self.checkpoint_every = checkpoint_every
        self.wiring = assemble(self.config, self.dtype_policy)
        self._reader = FeedReader(self.config, self.name, self.dtype_policy)
        self._loop = Loop(self.wiring, static=unroll, traces=self.traces, checkpoint_every=checkpoint_every)
        self._outlining = False
        self._kept: KeptState | None = None

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes, less the batch, of what the layer must be called with, by name."""
        return self._reader.shapes

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """Paths of the state's tensors, such as ``tape.position``, as ``return_state`` lists them."""
        return tuple(self.wiring.state_names(self.wiring.state_specs()))

    def symbolic_inputs(self, batch_size: int | None = None) -> Any:
        """Return Keras inputs to build a functional model on: one for each of :attr:`input_shapes`."""
        made = {
            name: keras.Input(shape, batch_size=batch_size, dtype=self._reader.dtype_of(name), name=name)
            for name, shape in self.input_shapes.items()
        }
        return made[INPUTS] if list(made) == [INPUTS] else made

    def build(self, inputs_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the weights; every size comes from the config, and a stateful layer's rows from here."""
        del initial_state_shape
        self.wiring.build(self.config.inputs)
        if self.stateful:
            shapes = by_name(inputs_shape)
            rows = next(iter(shapes.values()))[0]
            if rows is None:
                raise SourceError(
                    f"{self.name}: stateful = True needs the number of rows: give the inputs a batch_size"
                )
            sources = {name: shapes[name] for name in self.config.sources}
            self._kept = KeptState(self.wiring.state_specs(sources, timesteps=False), rows)

    def call(self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Run the loop: see the class."""
        feed = self._reader.read(inputs, mask)
        self._check_timesteps(feed)
        if self.go_backwards:
            feed = feed.backwards()
        sequence = self._sequence(feed, training)
        state = self._initial_state(feed, sequence, initial_state)
        if self._outlining:
            unrolled = self._loop.outline(feed.inputs, sequence, state, mask=feed.mask)
        else:
            compiled = self._compiles(sequence)
            parts = count_parts(sequence.batch_size, state) if compiled else 1
            unrolled = self._loop(
                feed.inputs, sequence, state, mask=feed.mask, jit_compile=compiled, parts=parts
            )
            if self._kept is not None:
                self._kept.keep(unrolled.state)
        answer = unrolled.outputs[:, self.config.suppress_output :]
        if not self.return_sequences:
            answer = unrolled.outputs[:, -1]
        if self.traces:
            answer = unrolled.traces | {OUTPUTS: answer}
        return (answer, *tf.nest.flatten(unrolled.state)) if self.return_state else answer

    def compute_output_spec(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the specs of what a call gives."""
        self._outlining = True  # one step tells the shapes of all
        try:
            return keras.Operation.compute_output_spec(
                self, inputs, initial_state=initial_state, mask=mask, training=training
            )
        except SuperloopError as error:  # Keras has reworded ours
            raise error.__context__ if isinstance(error.__context__, SuperloopError) else error from None
        finally:
            self._outlining = False

    def compute_output_shape(self, inputs_shape: Any, initial_state_shape: Any = None) -> Any:
        """Return the shapes of what a call gives, rows and timesteps too; None where they are not known."""
        feed = {
            name: keras.KerasTensor(shape, dtype=self._reader.dtype_of(name))
            for name, shape in by_name(inputs_shape).items()
        }
        spec = self.compute_output_spec(feed)
        return keras.tree.map_structure(lambda tensor: tensor.shape, spec)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Pass the mask on: to the outputs, where they are a sequence, and to the traces."""
        mask = self._reader.mask_of_inputs(inputs, previous_mask)
        if mask is None:
            return None
        if self.go_backwards:
            mask = keras.ops.flip(mask, axis=1)
        of_outputs = mask[:, self.config.suppress_output :] if self.return_sequences else None
        answer = of_outputs
        if self.traces:
            answer = dict.fromkeys(self._loop.recorded, mask) | {OUTPUTS: of_outputs}
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
        """Open a :class:`~superloop_core.session.Session`: the loop one timestep at a time, for live use.

        Args:
            sources: what the systems read, by name; ``"initial_feedback"`` may be among it.
            batch_size: rows; needed only where no source tells them, and 1 then if it is not given.
            timesteps: how many there will be, for systems that go by it; None: the config's, if it says.
            initial_state: as in a call.
            traces: as in the class; None: the layer's.

        Raises:
            SourceError: something is missing, unknown or of a wrong shape.
        """
        if not self.built:
            raise SuperloopError(f"{self.name}: has no weights yet; call it, or build a model with it, first")
        feed = self._reader.read(dict(sources or {}), one_timestep=True)
        if feed.batch_size is None:
            feed = attrs.evolve(feed, batch_size=batch_size or 1)
        elif batch_size not in (None, feed.batch_size):
            raise SourceError(
                f"{self.name}: batch_size is {batch_size}, but the sources have {feed.batch_size}"
            )
        feed = attrs.evolve(feed, timesteps=timesteps or feed.timesteps)
        sequence = self._sequence(feed, training=False)
        return Session(
            self.wiring,
            sequence,
            self._initial_state(feed, sequence, initial_state, kept=False),
            input_size=self.config.inputs,
            traces=self.traces if traces is None else checked_traces(traces),
            owner=self.name,
        )

    def reset_state(self) -> None:
        """Let a stateful layer's next call begin with the state at t = 0."""
        if self._kept is not None:
            self._kept.forget()

    reset_states = reset_state  # as Keras's recurrent layers have it too

    def get_config(self) -> dict[str, Any]:
        """Return what :meth:`from_config` makes the layer from; plugins by their qualified names."""
        own = {
            "config": self.config.to_dict(),
            "traces": self.traces,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "jit_compile": self.jit_compile,
            "checkpoint_every": self.checkpoint_every,
        }
        return dict(super().get_config(), **own)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Superloop":
        """Make the layer; a config that cannot be used is told as such, where Keras would reword it."""
        return cls(**config)

    def _sequence(self, feed: Feed, training: bool) -> Sequence:
        return Sequence(
            batch_size=feed.batch_size,
            timesteps=feed.timesteps,
            lengths=feed.lengths,
            dtype=self.compute_dtype,
            sources=feed.sources,
            masks=feed.source_masks,
            training=bool(training),
        )

    def _initial_state(self, feed: Feed, sequence: Sequence, given: Any, *, kept: bool = True) -> LoopState:
        state = self.wiring.initial_state(sequence)
        if kept and self._kept is not None:
            if isinstance(feed.batch_size, int) and feed.batch_size != self._kept.batch_size:
                raise SourceError(
                    f"{self.name}: is stateful, and was built for {self._kept.batch_size} rows: "
                    f"{feed.batch_size}"
                )
            state = self._kept.or_initial(state)
        if given is not None:
            state = replaced(state, self.wiring.state_names(state), given, self.name)
        if feed.feedback is not None:
            state = self.wiring.with_feedback(state, feed.feedback)
        return state

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

    def _compiles(self, sequence: Sequence) -> bool:
        if self.jit_compile != "auto":
            return bool(self.jit_compile)
        known = isinstance(sequence.timesteps, int)
        return known and self.wiring.supports_jit and not tf.executing_eagerly()
