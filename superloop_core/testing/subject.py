"""The subject of the checks: a small loop of a plugin's example, and the part alone."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.config.reader import read_loop
from superloop_core.config.schema import PartConfig
from superloop_core.layer.superloop import Superloop
from superloop_core.loop.trace_selection import ALL
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.system_settings import as_source
from superloop_core.testing.controller import DISTRIBUTION, NAME, add_controller

ROWS, TIMESTEPS, INPUTS, SLOTS = 3, 5, 2, 4
ID = "it"


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
    """Draw all inputs of a layer that must be given; integers are below the number of slots."""
    rng = np.random.default_rng(seed)
    sizes = {"inputs": timesteps}
    drawn = {}
    for name, shape in layer.input_shapes.items():
        dtype = as_source(shape).dtype
        size = (rows, *(sizes.get(name, SLOTS) if size is None else size for size in shape))
        if dtype == "float":
            precision = "float64" if layer.variable_dtype == "float64" else "float32"
            drawn[name] = rng.normal(size=size).astype(precision)
        else:
            drawn[name] = rng.integers(SLOTS, size=size).astype(dtype)
    return drawn


def made(record: PluginRecord, loop: Mapping[str, Any] | None = None, **options: Any) -> Superloop:
    """Make the loop with random weights, the same for every set of options; it records all traces."""
    settings: dict[str, Any] = {"traces": ALL, "return_state": True} | options
    keras.utils.set_random_seed(0)  # of weights that are drawn, and not trained
    layer = Superloop(loop or loop_of(record), **settings)
    layer.build({name: array.shape for name, array in draw(layer).items()})
    draw_weights(layer)
    return layer


def draw_weights(layer: keras.layers.Layer, seed: int = 7) -> None:
    """Set a layer's weights and biases to random numbers, smaller in larger matrices, as in a new layer."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_weights:
        added = variable.shape[0] if len(variable.shape) > 1 else 1
        drawn = rng.normal(scale=min(0.5, added**-0.5), size=variable.shape)
        variable.assign(drawn if variable.constraint is None else variable.constraint(drawn))


@attrs.frozen(kw_only=True, eq=False)
class Part:
    """The plugin's Builder alone, with weights and a batch.

    Args:
        builder: a system, or a cell as a Builder.
        size: of a step's input: the control, or the cell's inputs.
        rows: of the batch.
        constants: of the batch.
        first: the state at t = 0.
    """

    builder: Builder
    size: int
    rows: int
    constants: Any
    first: State
    dtype: str

    @classmethod
    def of(cls, record: PluginRecord, rows: int = ROWS, dtype: str = "float32") -> "Part":
        """Make the part, with weights at random."""
        layer = made(record, dtype=dtype)
        wiring = layer.wiring
        builder: Any = wiring.systems[0] if record.kind == "system" else wiring.cells[0]
        size = builder.control_size if record.kind == "system" else INPUTS
        prefix = f"{ID}_" if record.kind == "system" else ""
        sources = {
            name.removeprefix(prefix): tf.convert_to_tensor(array)
            for name, array in draw(layer, rows).items()
            if name != "inputs"
        }
        sequence = Sequence(
            batch_size=rows,
            timesteps=TIMESTEPS,
            lengths=tf.fill([rows], TIMESTEPS),
            dtype=dtype,
            sources=sources,
        )
        first, constants = builder.initial_state(sequence), builder.constants(sequence)
        return cls(builder=builder, size=size, rows=rows, constants=constants, first=first, dtype=dtype)

    def inputs(self, timesteps: int = TIMESTEPS, seed: int = 1) -> list[Tensor]:
        """Draw the inputs of some timesteps."""
        rng = np.random.default_rng(seed)
        return [tf.constant(rng.normal(size=(self.rows, self.size)), self.dtype) for _ in range(timesteps)]

    def run(self, inputs: list[Tensor], state: State | None = None) -> tuple[list[Tensor], State]:
        """Take a step for each of the inputs; return the outputs and the final state."""
        state = self.first if state is None else state
        answers = []
        for at_t in inputs:
            answer, state, _ = self.builder.step(at_t, state, self.constants)
            answers.append(answer)
        return answers, state

    @property
    def warm(self) -> State:
        """The state after some timesteps."""
        return self.run(self.inputs(4, seed=3))[1]


class Answer(NamedTuple):
    """The results of a small loop, in one dynamic loop without XLA."""

    layer: Superloop
    feed: dict[str, Any]
    answer: Any
    gradients: Any


_latest: list[tuple[PluginRecord, Answer]] = []  # of the plugin under test


def plain_answer(record: PluginRecord) -> Answer:
    """Return the plain answer and its gradients, which several checks compare with; computed once."""
    if not _latest or _latest[0][0] is not record:
        layer = made(record, jit_compile=False)
        feed = draw(layer)
        _latest[:] = [(record, Answer(layer, feed, *with_gradients(layer, feed)))]
    return _latest[0][1]


def with_gradients(layer: Superloop, feed: Mapping[str, Any], *, graph: bool = True, **how: Any) -> Any:
    """Return a layer's results, and the gradients of its weights and inputs."""

    def run(feed: Mapping[str, Tensor]) -> Any:
        floats = {name: tensor for name, tensor in feed.items() if tensor.dtype.is_floating}
        with tf.GradientTape() as tape:
            tape.watch(floats)
            answer = layer(feed, training=True, **how)
            numbers = [
                tf.reduce_sum(tf.sin(tf.cast(t, layer.variable_dtype)))
                for t in tf.nest.flatten(answer)
                if t.dtype.is_floating
            ]
            loss = tf.add_n(numbers)
        watched = [weight.value for weight in layer.trainable_weights], floats
        return answer, tape.gradient(loss, watched, unconnected_gradients="zero")

    run_it: Callable[..., Any] = tf.function(run, autograph=False) if graph else run
    return run_it({name: tf.convert_to_tensor(array) for name, array in feed.items()})
