"""Superloop, the Keras layer; where configs, by way of the registry, become tensors."""

import os
from collections.abc import Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from superloop_core.builder import KerasCell, Sequence, Tensor, addressing_dtype
from superloop_core.config import LoopConfig, read_config, read_loop
from superloop_core.errors import SourceError, SuperloopError, WeightsError, did_you_mean
from superloop_core.original import is_original, read_original
from superloop_core.registry import load_registry
from superloop_core.unroll import ALL, unroll
from superloop_core.wiring import Wiring

if keras.backend.backend() != "tensorflow":
    raise SuperloopError(
        f"superloop_core runs on Keras's TensorFlow backend, not on {keras.backend.backend()!r}: "
        "set KERAS_BACKEND=tensorflow before Keras is imported"
    )

MOST_PARTS = 8  # of a batch, side by side
LEAST_ROWS = 8  # of a part

INPUTS, OUTPUTS, FEEDBACK = "inputs", "outputs", "initial_feedback"


@keras.saving.register_keras_serializable("superloop_core")
class Superloop(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent network with external systems, as one Keras layer.

    Call it with a tensor ``(batch, timesteps, inputs)`` where the loop takes nothing else, or with a
    dict: ``"inputs"`` (where inputs > 0), every source as ``"<id>_<source>"`` (the shapes are
    ``config.sources``), and, if you like, ``"initial_feedback"``, ``(batch, feedback_size)``, which is
    what the cells see of the systems at t = 0 instead of zeros. A loop with neither inputs nor sources
    needs the last, since nothing else tells the batch size.

    It answers with the outputs ``(batch, timesteps - suppress_output, outputs)``, or with the last
    valid timestep's if ``return_sequences`` is False; where traces are asked for, with a dict of
    ``"outputs"`` and every trace by name, each ``(batch, timesteps, ...)``. A trace of a state or a
    read at t holds what the cells saw as they took step t.

    A mask ``(batch, timesteps)`` freezes every state where it is False, and outputs and traces repeat
    those of the last valid timestep.

    Args:
        config: a :class:`~superloop_core.config.LoopConfig`, the path of a config file, or a dict: a
            config file's, its ``loop`` table's, or the original superloop's.
        traces: names of the traces to record, such as ``"tape.position"``, or patterns, such as
            ``"tape.*"``; or ``"all"``.
        return_sequences: whether to answer with every timestep's output.
        unroll: whether to unroll the timesteps statically; they must be known then.
        jit_compile: whether to compile the loop and its gradient with XLA, once for each shape.
            ``"auto"``: inside a ``tf.function`` (``fit``, ``predict``) where the number of timesteps is
            known, unless a part of the loop has ``supports_jit = False``. A loop that is compiled runs
            on the CPU as several side by side, each on a part of the batch.
        checkpoint_every: keep the state of one timestep in so many in training, and compute those
            between once more on the way back: less memory, a third more time at most.

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
        unroll: bool = False,
        jit_compile: bool | str = "auto",
        checkpoint_every: int = 1,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.config = _read(config)
        self.traces = traces if traces == ALL else (traces,) if isinstance(traces, str) else tuple(traces)
        self.return_sequences = return_sequences
        self.unroll = unroll
        if jit_compile not in (True, False, "auto"):
            raise SuperloopError(f"jit_compile must be True, False or 'auto': {jit_compile!r}")
        if type(checkpoint_every) is not int or checkpoint_every < 1:
            raise SuperloopError(f"checkpoint_every must be an int >= 1: {checkpoint_every!r}")
        self.jit_compile = jit_compile
        self.checkpoint_every = checkpoint_every
        self.wiring = _wired(self.config, self.dtype_policy)

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes, less the batch, of what the layer must be called with, by name."""
        shapes = dict(self.config.sources)
        if self.config.inputs:
            shapes = {INPUTS: (self.config.timesteps or None, self.config.inputs)} | shapes
        return shapes or {FEEDBACK: (self.config.feedback_size,)}

    def symbolic_inputs(self, batch_size: int | None = None) -> Any:
        """Return Keras inputs to build a functional model on: one for each of :attr:`input_shapes`."""
        made = {
            name: keras.Input(shape, batch_size=batch_size, dtype=self._dtype_of(name), name=name)
            for name, shape in self.input_shapes.items()
        }
        return made[INPUTS] if list(made) == [INPUTS] else made

    def build(self, input_shape: Any) -> None:
        """Make the weights; every size comes from the config."""
        del input_shape
        self.wiring.build(self.config.inputs)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Run the loop: see the class."""
        given = {name: ops.cast(tensor, self._dtype_of(name)) for name, tensor in self._check(inputs).items()}
        mask = self._checked_mask(mask)
        sequence = self._sequence(given, mask, training)
        state = self.wiring.initial_state(sequence)
        if FEEDBACK in given:
            state = self.wiring.with_feedback(state, given[FEEDBACK])
        compiled = self._compiles(sequence)
        unrolled = unroll(
            self.wiring,
            given.get(INPUTS),
            sequence,
            state,
            mask=mask,
            static=self.unroll,
            traces=self.traces,
            jit_compile=compiled,
            parts=_parts(sequence.batch_size) if compiled else 1,
            checkpoint_every=self.checkpoint_every,
        )
        outputs = unrolled.outputs[:, self.config.suppress_output :]
        if not self.return_sequences:
            outputs = unrolled.outputs[:, -1]
        if not self.traces:
            return outputs
        return unrolled.traces | {OUTPUTS: outputs}

    def compute_output_spec(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Return the specs of what a call gives."""
        try:
            return super().compute_output_spec(inputs, mask=mask, training=training)
        except SuperloopError as error:  # Keras has reworded ours
            raise error.__context__ if isinstance(error.__context__, SuperloopError) else error from None

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Pass the mask of the inputs on to a sequence of outputs, where there are no traces beside it."""
        mask = _of_inputs(previous_mask)
        if mask is None or not self.return_sequences or self.traces:
            return None
        return mask[:, self.config.suppress_output :]

    def get_config(self) -> dict[str, Any]:
        """Return what :meth:`from_config` makes the layer from; plugins by their qualified names."""
        own = {
            "config": self.config.to_dict(),
            "traces": self.traces,
            "return_sequences": self.return_sequences,
            "unroll": self.unroll,
            "jit_compile": self.jit_compile,
            "checkpoint_every": self.checkpoint_every,
        }
        return dict(super().get_config(), **own)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Superloop":
        """Make the layer; a config that cannot be used is told as such, where Keras would reword it."""
        return cls(**config)

    def _compiles(self, sequence: Sequence) -> bool:
        if self.jit_compile != "auto":
            return bool(self.jit_compile)
        known = isinstance(sequence.timesteps, int)
        return known and self.wiring.supports_jit and not tf.executing_eagerly()

    def _check(self, inputs: Any) -> dict[str, Tensor]:
        """Return everything given by name; refuse what does not fit."""
        given = dict(inputs) if isinstance(inputs, Mapping) else {INPUTS: inputs}
        shapes = self.input_shapes
        known = shapes | {FEEDBACK: (self.config.feedback_size,)}
        for name in given:
            if name not in known:
                raise SourceError(f"{self.name}: takes no {name!r}{did_you_mean(name, known)}")
        for name in shapes:
            if given.get(name) is None:
                raise SourceError(
                    f"{self.name}: {name!r} is missing; call the layer with a dict that holds "
                    f"{', '.join(f'{n!r} {_with_batch(s)}' for n, s in shapes.items())}"
                )
        given = {name: tensor for name, tensor in given.items() if tensor is not None}
        for name, tensor in given.items():
            self._check_shape(name, tensor, known[name])
        rows = {name: tensor.shape[0] for name, tensor in given.items() if tensor.shape[0] is not None}
        if len(set(rows.values())) > 1:
            raise SourceError(f"{self.name}: everything must have the same number of rows: {rows}")
        return given

    def _checked_mask(self, mask: Any) -> Tensor | None:
        mask = _of_inputs(mask)
        if mask is not None:
            self._check_shape("mask", mask, (self.config.timesteps or None,))
        return mask

    def _check_shape(self, name: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
        received = tuple(tensor.shape)
        fits = len(received) == len(expected) + 1 and all(
            size is None or wanted is None or size == wanted
            for size, wanted in zip(received[1:], expected, strict=True)
        )
        if not fits:
            raise SourceError(
                f"{self.name}: {name!r} must have the shape {_with_batch(expected)}: {received}"
            )

    def _dtype_of(self, name: str) -> str:
        """What an input is computed in; mixed precision leaves the sources, which may be addresses, alone."""
        if name in self.config.sources:
            return addressing_dtype(self.dtype_policy)
        return str(self.compute_dtype)

    def _sequence(self, given: Mapping[str, Tensor], mask: Tensor | None, training: bool) -> Sequence:
        batch_size = ops.shape(next(iter(given.values())))[0]
        timesteps = self.config.timesteps or ops.shape(given[INPUTS])[1]
        if isinstance(timesteps, int) and timesteps <= self.config.suppress_output:
            raise SourceError(
                f"{self.name}: a sequence must have more timesteps than suppress_output = "
                f"{self.config.suppress_output}: {timesteps}"
            )
        if self.unroll and not isinstance(timesteps, int):
            raise SourceError(
                f"{self.name}: unroll = True needs the number of timesteps: set 'timesteps' in the "
                "config, or give inputs of a known shape"
            )
        if mask is None:
            lengths = ops.broadcast_to(ops.cast(timesteps, "int32"), (batch_size,))
        else:
            lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        return Sequence(
            batch_size=batch_size,
            timesteps=timesteps,
            lengths=lengths,
            dtype=self.compute_dtype,
            sources={name: given[name] for name in self.config.sources},
            training=bool(training),
        )


def load_model(path: str | Path) -> keras.Model:
    """Load a ``.keras`` file, or a run folder's ``model.keras``, in Keras's safe mode.

    Raises:
        ConfigError: a plugin that the model needs is not installed.
        WeightsError: there is no such file, or it cannot be loaded.
    """
    path = Path(path)
    if path.is_dir():
        path /= "model.keras"
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; name a .keras file or a run folder")
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except SuperloopError:
        raise
    except Exception as error:  # what Keras raises on a broken file depends on where it is broken
        raise WeightsError(f"{path}: cannot be loaded: {error}") from error


def _read(config: LoopConfig | Mapping[str, Any] | str | Path) -> LoopConfig:
    if isinstance(config, LoopConfig):
        return config
    plugins = load_registry()
    if isinstance(config, Mapping):
        if is_original(config):
            return read_original(config, plugins)[1]
        if "loop" not in config:
            return read_loop(config, plugins)
    return read_config(config, plugins).loop


def _wired(config: LoopConfig, policy: keras.DTypePolicy) -> Wiring:
    """Make the parts that a config names, and wire them."""
    plugins = load_registry()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # the factories are told their settings only
    try:
        cells = [
            KerasCell(plugins.resolve("cell", cell.use).spec.create(cell.settings))
            for cell in config.cells
            for _ in range(cell.layers)
        ]
        systems = {
            system.id: plugins.resolve("system", system.use).spec.create(system.settings)
            for system in config.systems
        }
        return Wiring(
            cells,
            systems,
            outputs=config.outputs,
            outputs_read_systems=config.outputs_read_systems,
            name="wiring",
        )
    finally:
        keras.config.set_dtype_policy(before)


def _parts(rows: Any) -> int:
    """In how many parts a compiled loop runs: one for each core, where they are worth it.

    XLA keeps one core busy with the small products of a timestep; loops side by side keep all.
    """
    if tf.config.list_physical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = min(cores, MOST_PARTS)
    if not isinstance(rows, int):
        return parts
    return max(n for n in range(1, parts + 1) if n == 1 or (rows % n == 0 and rows >= n * LEAST_ROWS))


def _of_inputs(mask: Any) -> Any:
    """The mask of the inputs, which Keras gives in a dict where the inputs are in a dict."""
    return mask.get(INPUTS) if isinstance(mask, Mapping) else mask


def _with_batch(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join(['batch', *('any' if size is None else str(size) for size in shape)])})"
