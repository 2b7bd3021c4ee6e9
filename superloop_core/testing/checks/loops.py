"""Checks of whole sequences: a small loop with a cell or a system in it."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_core.layer.superloop import Superloop
from superloop_core.registry.local import file_of
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.specs import LOCAL
from superloop_core.testing.fresh import answers_in_a_fresh_process, answers_of, set_seeds
from superloop_core.testing.report import CheckFailed
from superloop_core.testing.require import require, require_close, require_finite
from superloop_core.testing.subject import (
    ID,
    TIMESTEPS,
    Answer,
    answer_of,
    draw,
    has_gradient,
    made,
    subject_of,
    unchanged,
    with_gradients,
)

LONG, LONGEST = 1_000, 10_000
TRAINED, LEARNING_RATE, TARGETS = 2_000, 0.3, 30.0  # steps; a hundred times a usual rate; out of reach


def static_is_dynamic(record: PluginRecord) -> None:
    """Static unrolling and one dynamic loop give the same results, gradients, losses and assigned weights."""
    subject = subject_of(record)
    layer, expected = subject.loop, subject.results
    with unchanged(layer.variables):
        answer = tf.function(layer, autograph=False)(subject.feed, training=True)
        updated = [tf.identity(variable.value) for variable in layer.non_trainable_variables]
    where = "in a graph, where its Python runs once for all timesteps, it gives other"
    require_close(answer, expected.answer, f"{where} answers")
    require_close(updated, expected.updated, f"{where} assigned weights")
    _require_same(record, "unrolled and in one loop", graph=False, unroll=True)


def xla_is_eager(record: PluginRecord) -> None:
    """XLA gives the same results and gradients; a part with ``supports_jit = False`` runs without it."""
    supported = subject_of(record).loop.wiring.supports_jit
    with _loops_need_a_bound():
        _require_same(record, "with XLA and without", jit_compile=True if supported else "auto")


def masked_is_unpadded(record: PluginRecord) -> None:
    """A padded sequence gives the same results as without padding, and the padding is never read."""
    layer, feed = subject_of(record).loop, subject_of(record).feed
    lengths = np.array([TIMESTEPS, 1, 3])
    padded = dict(feed)
    padded["inputs"] = feed["inputs"].copy()
    for row, length in enumerate(lengths):
        padded["inputs"][row, length:] = np.nan
    # Not in training, where a layer may normalize over the rows.
    results = with_gradients(layer, padded | {"lengths": lengths}, training=False, graph=False)
    traces, *state = results.answer
    require_finite(results.gradients, "gradients of a padded batch must be finite")
    require_finite(results.losses, "losses of a padded batch must be finite")
    for row, length in enumerate(lengths):
        # All rows, as noise depends on the row's number.
        expected, *final = answer_of(layer, feed | {"inputs": feed["inputs"][:, :length]})
        rule = f"a sequence of {length} timesteps, padded to {TIMESTEPS}, gives other results"
        of_row = {name: trace[row, :length] for name, trace in traces.items()}
        require_close(of_row, {name: trace[row] for name, trace in expected.items()}, rule)
        require_close([t[row] for t in state], [t[row] for t in final], f"{rule} as its state")


def masked_source(record: PluginRecord) -> None:
    """A padded and masked source gives the same results; a row may be masked, an optional source left out."""
    layer, feed = subject_of(record).loop, subject_of(record).feed
    sources = layer.config.sources
    parallel: dict[str, list[str]] = {}  # sources by their first axis, which some share
    for name, source in sources.items():
        if source:
            parallel.setdefault(source.dims[0] or name, []).append(name)
    for axis, names in parallel.items():
        if sources[names[0]][0] is None and layer.wiring.stochastic is not True:  # slots may have noise
            rule = f"masked padding of the source {' and '.join(map(repr, names))} changed what the cells see"
            padded, masks = _padded(feed, {n: _axes(sources[n], axis, n) for n in sources})
            (expected, *_), (answer, *_) = answer_of(layer, feed), answer_of(layer, padded, mask=masks)
            seen = {"outputs", f"{ID}.read"} & set(expected)
            require_close({n: answer[n] for n in seen}, {n: expected[n] for n in seen}, rule)
        if any(len(sources[name]) == 2 for name in names):
            mask = np.ones(feed[names[0]].shape[:2], bool)
            mask[0] = False
            rule = f"must be finite where all of a row's source {' and '.join(map(repr, names))} is masked"
            results = with_gradients(layer, feed, mask=dict.fromkeys(names, mask), graph=False)
            require_finite(results.answer, f"answers {rule}")
            require_finite(results.gradients, f"gradients {rule}")
    if any(source.optional for source in sources.values()):
        required = {name: array for name, array in feed.items() if name in layer.input_shapes}
        require_finite(answer_of(layer, required), "answers must be finite without its optional sources")


def chunks_are_the_whole(record: PluginRecord) -> None:
    """A sequence in two parts, or in single steps, gives the same results as the whole."""
    layer, feed = subject_of(record).loop, subject_of(record).feed
    sources = {name: array for name, array in feed.items() if name != "inputs"}
    whole, *final = answer_of(layer, feed)
    rows = len(feed["inputs"])
    with unchanged(layer.variables):
        state = layer.initial_state(rows, sources, timesteps=TIMESTEPS)
    with unchanged(layer.variables):
        constants = layer.constants(rows, sources, timesteps=TIMESTEPS)
    steps = []
    for t in range(TIMESTEPS):
        _, state, traces = layer.step(feed["inputs"][:, t], state, constants, timestep=t)
        steps.append(traces)
    joined = {name: tf.stack([traces[name] for traces in steps], axis=1) for name in whole}
    require_close(joined, whole, "in single steps it gives other results")
    require_close(list(state.values()), final, "in single steps it ends with another state")
    if layer.wiring.stochastic is True:
        return  # a part of a sequence has noise of its own
    after, parts = None, []
    with unchanged(layer.variables):
        for part in (slice(0, 2), slice(2, None)):
            answer, *after = layer(feed | {"inputs": feed["inputs"][:, part]}, initial_state=after)
            parts.append(answer)
    joined = {name: tf.concat([part[name] for part in parts], axis=1) for name in whole}
    require_close(joined, whole, "in two parts it gives other results")
    require_close(after, final, "in two parts it ends with another state")


def mixed_precision(record: PluginRecord) -> None:
    """Mixed precision gives nearly the same results; a system's layers and state are in float32 at least."""
    plain, mixed = subject_of(record).loop, made(record, dtype="mixed_float16")
    for system in mixed.wiring.systems:
        for layer in system._flatten_layers():
            dtype = tf.as_dtype(layer.compute_dtype)
            rule = f"the layer {layer.name!r} of a system computes in {dtype.name}"
            move = "make it in 'build', and with no dtype of its own"
            require(not dtype.is_floating or dtype.size >= 4, f"{rule}; {move}")
    feed = subject_of(record).feed
    (expected, *_), (answer, *state) = answer_of(plain, feed), answer_of(mixed, feed)
    floats = {name: trace for name, trace in expected.items() if has_gradient(trace)}
    require_close(
        {name: answer[name] for name in floats}, floats, "mixed_float16 and float32 are too far apart", 2e-2
    )
    for name, tensor in zip(mixed.state_names, state, strict=True):
        if name.startswith(f"{ID}.") and not name.endswith(".read") and tensor.dtype.is_floating:
            require(tensor.dtype.size >= 4, f"the state {name!r} of a system is in {tensor.dtype.name}")


def stays_finite(record: PluginRecord) -> None:
    """Ten thousand timesteps, and the gradients through a thousand, stay finite."""
    layer = made(record, jit_compile=False, traces=())
    results = with_gradients(layer, draw(layer, rows=2, timesteps=LONG))
    require_finite(results.answer, f"answers and states after {LONG:,} timesteps must be finite")
    require_finite(results.gradients, f"gradients through {LONG:,} timesteps must be finite")
    run = tf.function(layer, autograph=False, jit_compile=layer.wiring.supports_jit)
    answer = run(draw(layer, rows=2, timesteps=LONGEST))
    require_finite(answer, f"answers and states after {LONGEST:,} timesteps must be finite")


def stays_finite_in_training(record: PluginRecord) -> None:
    """Weights and results stay finite in two thousand training steps towards targets out of reach."""
    layer = made(record, traces=(), return_state=False, jit_compile=False)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(layer.trainable_variables)
    feed = draw(layer)
    targets = TARGETS * tf.random.stateless_normal(answer_of(layer, feed).shape, seed=(0, 0))

    def train(step: Any) -> Any:
        drawn = {
            name: tf.random.stateless_normal(array.shape, seed=tf.stack([step, number]))
            for number, (name, array) in enumerate(feed.items(), start=1)
            if array.dtype.kind == "f"
        }
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(feed | drawn, training=True) - targets))
            loss = tf.add_n([loss, *layer.losses])
        weights = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, weights, unconnected_gradients="zero"), weights)
        return step + 1

    def train_on() -> None:
        tf.while_loop(lambda step: step < TRAINED, train, [0])

    with _loops_need_a_bound():
        tf.function(train_on, autograph=False, jit_compile=layer.wiring.supports_jit)()
    weights = [variable.value for variable in layer.trainable_variables]
    require_finite(weights, f"weights after {TRAINED:,} training steps must be finite")
    require_finite([layer(feed)], f"answers after {TRAINED:,} training steps must be finite")


def saved_and_loaded(record: PluginRecord) -> None:
    """A saved model with it loads in a new process in safe mode, with equal results."""
    layer = made(record, return_state=False)
    inputs = layer.symbolic_inputs(optional=True)
    model = keras.Model(inputs, layer(inputs))
    feed = draw(layer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with warnings.catch_warnings():  # of Keras's own Variable, under NumPy 2
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            model.save(path)
        file = file_of(record) if record.distribution == LOCAL else None
        if record.distribution == LOCAL and file is None:  # a notebook's, which no other process can import
            loaded = answers_of(path, feed)
        else:
            loaded = answers_in_a_fresh_process(path, feed, file)
    set_seeds(layer)
    expected = {name: np.asarray(trace) for name, trace in layer(feed).items()}
    require_close(loaded, expected, "loaded in a new process it gives other results")


CHECKS = (
    static_is_dynamic,
    xla_is_eager,
    masked_is_unpadded,
    masked_source,
    chunks_are_the_whole,
    mixed_precision,
    stays_finite,
    stays_finite_in_training,
    saved_and_loaded,
)


@contextmanager
def _loops_need_a_bound() -> Iterator[None]:
    """Say what XLA's error about a loop in a step means."""
    try:
        yield
    except tf.errors.OpError as error:
        if "Set the max number of elements" not in str(error):
            raise
        raise CheckFailed(
            "a loop in its step has no bound, which XLA needs for a gradient; give ops.while_loop or "
            "tf.while_loop its maximum_iterations"
        ) from error


def _padded(feed: dict[str, Any], axes: dict[str, list[int]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a feed with two further entries on some axes of its sources, and the masks of these."""
    padded, masks = dict(feed), {}
    for name in filter(axes.get, axes):
        sizes = feed[name].shape
        width = [(0, 2 * (axis in axes[name])) for axis in range(len(sizes))]
        junk = 5 if feed[name].dtype.kind == "f" else 1
        padded[name] = np.pad(feed[name], width, constant_values=junk)
        masked_axes = max(axes[name]) + 1
        inside = np.ones(sizes[:masked_axes], bool)
        masks[name] = np.pad(inside, width[:masked_axes], constant_values=False)
    return padded, masks


def _axes(source: Any, axis: str, name: str) -> list[int]:
    """Return which axes of a source's array have a name; its own is that of a first axis without one."""
    named = [dim or (name if index == 0 else None) for index, dim in enumerate(source.dims)]
    return [index for index, dim in enumerate(named, start=1) if dim == axis]


def _require_same(record: PluginRecord, ways: str, graph: bool = True, **options: Any) -> None:
    subject = subject_of(record)
    others = with_gradients(made(record, **options), subject.feed, graph=graph)
    if options.get("jit_compile") and _draws_by_keras(subject.loop, subject.results):
        require_finite(others.answer, f"{ways} its answers must be finite")
        # With XLA Keras draws other numbers, so that it is the graph without XLA which is compared.
        others, ways = with_gradients(subject.loop, subject.feed), "in a graph and step by step"
    for name, expected in subject.results._asdict().items():
        what = {"answer": "answers", "updated": "assigned weights"}.get(name, name)
        require_close(getattr(others, name), expected, f"{ways} it gives other {what}")


def _draws_by_keras(layer: Superloop, results: Answer) -> bool:
    """Whether its steps draw from seed generators of Keras, besides the core, which draws once a call."""
    updated = zip(layer.non_trainable_variables, results.updated, strict=True)
    after = {id(variable): value for variable, value in updated}
    generators = [generator for one in layer._flatten_layers() for generator in one._seed_generators]
    return any(
        int(after[id(one.state)][1] - one.state.value[1]) > (one is layer._seeds) for one in generators
    )
