"""The subject of the checks: a small loop of a plugin's example, and the part alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.noise import noise_of, noise_of_part
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.config.reader import read_loop
from superloop_core.config.schema import PartConfig
from superloop_core.layer.superloop import Superloop
from superloop_core.loop.trace_selection import ALL
from superloop_core.names import is_loss
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.system_settings import Source
from superloop_core.testing.controller import DISTRIBUTION, NAME, add_controller

ROWS, TIMESTEPS, INPUTS, SLOTS = 3, 5, 2, 4
ID = "it"
SEED = (1, 2)  # of the noise of a part alone


def loop_of(record: PluginRecord, **changes: Any) -> dict[str, Any]:
    """Return the config of a small loop with the plugin in it: a cell, or a system of the id ``it``."""
    add_controller(load_registry())
    part = {"use": record.qualified_name, **record.spec.example}
    controller = {"use": f"{DISTRIBUTION}:{NAME}", "units": 4}
    parts: dict[str, Any] = {"cells": [part]}
    if record.kind == "system":
        parts = {"cells": [controller], "systems": [part | {"id": ID}]}
    return {"inputs": INPUTS, "outputs": 2} | parts | changes


def part_config(record: PluginRecord) -> PartConfig:
    """Return the example, read as a config."""
    loop = read_loop(loop_of(record), load_registry())
    return loop.systems[0] if record.kind == "system" else loop.cells[0]


def draw(layer: Superloop, rows: int = ROWS, timesteps: int = TIMESTEPS, seed: int = 0) -> dict[str, Any]:
    """Draw all inputs of a layer, those that are optional too; integers are 0 or 1."""
    rng = np.random.default_rng(seed)
    sizes = {"inputs": timesteps}
    floats = "float64" if layer.variable_dtype == "float64" else "float32"
    drawn = {}
    for name, shape in (layer.input_shapes | layer.config.sources).items():
        dtype = shape.dtype if isinstance(shape, Source) else "float"
        numbers = rng.normal(
            size=(rows, *(sizes.get(name, SLOTS) if size is None else size for size in shape))
        )
        drawn[name] = numbers.astype(floats) if dtype == "float" else (numbers > 0).astype(dtype)
    return drawn


def made(record: PluginRecord, loop: Mapping[str, Any] | None = None, **options: Any) -> Superloop:
    """Make the loop with random weights, the same for every set of options; it records all traces."""
    settings: dict[str, Any] = {"traces": ALL, "return_state": True} | options
    keras.utils.set_random_seed(0)  # of weights that are drawn, and not trained
    layer = Superloop(loop or loop_of(record), **settings)
    layer.build({name: array.shape for name, array in draw(layer).items()})
    draw_weights(layer)
    return layer


def draw_weights(builder: Any, seed: int = 7) -> None:
    """Set trained weights and biases to random numbers, smaller in larger matrices, as in a new layer."""
    rng = np.random.default_rng(seed)
    for variable in (variable for variable in builder.variables if variable.trainable):
        added = variable.shape[0] if len(variable.shape) > 1 else 1
        drawn = rng.normal(scale=min(0.5, added**-0.5), size=variable.shape)
        variable.assign(drawn if variable.constraint is None else variable.constraint(drawn))


@contextmanager
def unchanged(variables: Iterable[Any]) -> Iterator[None]:
    """Take back what is assigned meanwhile: moving means, the states of generators of seeds."""
    before = [(variable, tf.identity(variable.value)) for variable in variables if not variable.trainable]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def answer_of(layer: Superloop, feed: Mapping[str, Any], **how: Any) -> Any:
    """Call a layer, each time with the same noise, and leave it as it was."""
    with unchanged(layer.variables):
        return layer(dict(feed), **how)


@attrs.frozen(kw_only=True, eq=False)
class Part:
    """The plugin's Builder alone, with weights and a batch.

    Args:
        builder: a system, or a cell as a Builder.
        size: of a step's input: the control, or the cell's inputs.
        sequence: the batch.
        constants: of the batch.
        first: the state at t = 0.
    """

    builder: Builder
    size: int
    sequence: Sequence
    constants: Any
    first: State

    @classmethod
    def of(
        cls, record: PluginRecord, rows: int = ROWS, dtype: str = "float32", noisy: bool = False
    ) -> "Part":
        """Make the part, with weights at random; ``noisy``: in training, if it draws noise only there."""
        layer = made(record, dtype=dtype)
        wiring = layer.wiring
        builder: Any = wiring.systems[0] if record.kind == "system" else wiring.cells[0]
        training = noisy and builder.stochastic == "training"
        prefix = f"{ID}_" if record.kind == "system" else ""
        sequence = Sequence(
            batch_size=rows,
            timesteps=TIMESTEPS,
            lengths=tf.fill([rows], TIMESTEPS),
            dtype=dtype,
            sources={
                name.removeprefix(prefix): tf.convert_to_tensor(array)
                for name, array in draw(layer, rows).items()
                if name != "inputs"
            },
            training=training,
            seed=tf.constant(SEED, tf.uint32) if builder.stochastic is True or training else None,
        )
        size = builder.control_size if record.kind == "system" else INPUTS
        return cls.started(builder, size, attrs.evolve(sequence, prepared=builder.prepare()))

    @classmethod
    def started(cls, builder: Builder, size: int, sequence: Sequence) -> "Part":
        """Make the part of a builder, at t = 0."""
        start = {}
        for method in ("initial_state", "constants"):
            of_part = noise_of_part(method, sequence.batch_size, sequence.dtype)
            with noise_of(sequence.seed, sequence.first_row), of_part:
                start[method] = getattr(builder, method)(sequence)
        first, constants = start.values()
        return cls(builder=builder, size=size, sequence=sequence, constants=constants, first=first)

    def inputs(self, timesteps: int = TIMESTEPS, seed: int = 1) -> list[Tensor]:
        """Draw the inputs of some timesteps."""
        rng, shape = np.random.default_rng(seed), (self.sequence.batch_size, self.size)
        return [tf.constant(rng.normal(size=shape), self.sequence.dtype) for _ in range(timesteps)]

    def step(self, inputs: Tensor, state: State, timestep: int = 0) -> tuple[Tensor, State, Any]:
        """Take one step; return its results."""
        sequence = self.sequence
        of_part = noise_of_part(ID, sequence.batch_size, sequence.dtype)
        with noise_of(sequence.seed, sequence.first_row, timestep), of_part:
            return self.builder.step(inputs, state, self.constants)

    def run(self, inputs: list[Tensor], state: State | None = None) -> tuple[list[Tensor], State]:
        """Take a step for each of the inputs, and leave the weights as they were.

        Returns:
            the outputs, or of a part without any, its states and named losses; and the final state.
        """
        state = self.first if state is None else state
        answers = []
        with unchanged(self.builder.variables):
            for timestep, at_t in enumerate(inputs):
                answer, state, named = self.step(at_t, state, timestep)
                if not self.builder.output_size:
                    losses = {name: tensor for name, tensor in named.items() if is_loss(name)}
                    answer = _numbers((answer, state, losses), answer.dtype)
                answers.append(answer)
        return answers, state

    @property
    def warm(self) -> State:
        """The state after some timesteps."""
        return self.run(self.inputs(4, seed=3))[1]


class Answer(NamedTuple):
    """The results of a call in training."""

    answer: Any
    gradients: list[Tensor]  # of the weights and inputs, and zeros where they have none
    losses: Tensor  # the sum of those that the layer adds
    updated: list[Tensor]  # the weights that are not trained, after it


@attrs.define(eq=False)
class Subject:
    """The small loop of a plugin's example, without XLA, which checks share and leave as it was."""

    record: PluginRecord

    @cached_property
    def loop(self) -> Superloop:
        """The layer."""
        return made(self.record, jit_compile=False)

    @cached_property
    def feed(self) -> dict[str, Any]:
        """All its inputs."""
        return draw(self.loop)

    @cached_property
    def results(self) -> Answer:
        """Its results, step by step in Python."""
        return with_gradients(self.loop, self.feed, graph=False)


_latest: list[Subject] = []  # the plugin under test


def subject_of(record: PluginRecord) -> Subject:
    """Return the loop of a plugin; made once for the checks that follow each other."""
    if not _latest or _latest[0].record is not record:
        _latest[:] = [Subject(record)]
    return _latest[0]


def with_gradients(
    layer: Superloop, feed: Mapping[str, Any], *, training: bool = True, graph: bool = True, **how: Any
) -> Answer:
    """Call a layer, with the gradients of its weights and inputs, and leave it as it was.

    In a graph, or step by step in Python, which takes a tenth of the time: a graph is traced first.
    """
    dtype = layer.variable_dtype

    def run(feed: Mapping[str, Tensor]) -> Answer:
        floats = {name: tensor for name, tensor in feed.items() if tensor.dtype.is_floating}
        with tf.GradientTape() as tape:
            tape.watch(floats)
            answer = layer(feed, training=training, **how)
            losses = tf.add_n([tf.zeros([], dtype), *(tf.cast(loss, dtype) for loss in layer.losses)])
            loss = tf.reduce_sum(tf.sin(_numbers(answer, dtype))) + losses
        watched = [*(weight.value for weight in layer.trainable_weights), *floats.values()]
        gradients = tape.gradient(loss, watched, unconnected_gradients="zero")
        updated = [tf.identity(variable.value) for variable in layer.non_trainable_variables]
        # An embedding's gradient is of some of its rows only.
        return Answer(answer, [tf.convert_to_tensor(slope) for slope in gradients], losses, updated)

    run_it: Callable[..., Answer] = tf.function(run, autograph=False) if graph else run
    with unchanged(layer.variables):
        return run_it({name: tf.convert_to_tensor(array) for name, array in feed.items()})


def has_gradient(tensor: Tensor) -> bool:
    """Whether it is of floats, real or complex."""
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex)


def _numbers(nest: Any, dtype: Any) -> Tensor:
    """Return the floats of a nest, as one tensor ``(batch, numbers)``; complex ones are two each."""
    parts = []
    for tensor in filter(has_gradient, tf.nest.flatten(nest)):
        both = (tf.math.real(tensor), tf.math.imag(tensor)) if tensor.dtype.is_complex else (tensor,)
        parts += [tf.reshape(tf.cast(one, dtype), [tf.shape(one)[0], -1]) for one in both]
    return tf.concat(parts, axis=1)
