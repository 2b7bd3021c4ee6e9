"""Checks of whole sequences: a small loop with a cell or a system in it."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_core.registry.local import file_of
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.specs import LOCAL
from superloop_core.testing.fresh import answers_in_a_fresh_process, answers_of
from superloop_core.testing.require import require, require_close, require_finite
from superloop_core.testing.subject import ID, TIMESTEPS, draw, made, plain_answer, with_gradients

LONG, LONGEST = 1_000, 10_000
TRAINED, LEARNING_RATE, TARGETS = 2_000, 0.3, 30.0  # steps; a hundred times a usual rate; out of reach


def static_is_dynamic(record: PluginRecord) -> None:
    """Static unrolling and one dynamic loop give the same results and gradients."""
    _require_same(record, "unrolled and in one loop", unroll=True)


def xla_is_eager(record: PluginRecord) -> None:
    """XLA gives the same results and gradients."""
    if plain_answer(record).layer.wiring.supports_jit:
        _require_same(record, "with XLA and without", jit_compile=True)


def masked_is_unpadded(record: PluginRecord) -> None:
    """A padded sequence gives the same results as without padding, and the padding is never read."""
    layer, feed, plain, _ = plain_answer(record)
    lengths = np.array([TIMESTEPS, 1, 3])
    padded = dict(feed)
    padded["inputs"] = feed["inputs"].copy()
    for row, length in enumerate(lengths):
        padded["inputs"][row, length:] = np.nan
    (traces, *state), gradients = with_gradients(layer, padded | {"lengths": lengths})
    require_finite(gradients, "gradients of a padded batch must be finite")
    for row, length in enumerate(lengths):
        if length == TIMESTEPS:  # rows are independent, which is a check of its own
            expected, *final = tf.nest.map_structure(lambda tensor, row=row: tensor[row : row + 1], plain)
        else:
            alone = {name: array[row : row + 1] for name, array in feed.items()}
            expected, *final = layer(alone | {"inputs": alone["inputs"][:, :length]})
        rule = f"a sequence of {length} timesteps, padded to {TIMESTEPS}, gives other results"
        of_row = {name: trace[row : row + 1, :length] for name, trace in traces.items()}
        require_close(of_row, expected, rule)
        require_close([tensor[row : row + 1] for tensor in state], final, f"{rule} as its state")


def masked_source(record: PluginRecord) -> None:
    """A padded and masked source gives the same results as without padding; a whole row may be masked."""
    layer = made(record, jit_compile=False, return_state=False)
    feed = draw(layer)
    open_ended = [name for name, shape in layer.config.sources.items() if shape and shape[0] is None]
    for name in open_ended:
        rows, slots, *_ = feed[name].shape
        junk = np.full_like(feed[name][:, :2], 5.0)
        padded = feed | {name: np.concatenate([feed[name], junk], axis=1)}
        mask = np.arange(slots + 2) < np.full((rows, 1), slots)
        expected, answer = layer(feed), layer(padded, mask={name: mask})
        seen = ("outputs", f"{ID}.read")
        rule = f"masked padding of the source {name!r} changed what the cells see"
        require_close({n: answer[n] for n in seen}, {n: expected[n] for n in seen}, rule)
    for name in (name for name, shape in layer.config.sources.items() if len(shape) == 2):
        mask = np.ones(feed[name].shape[:2], bool)
        mask[0] = False
        rule = f"must be finite where all of a row's source {name!r} is masked"
        answer, gradients = with_gradients(layer, feed, mask={name: mask})
        require_finite(answer, f"answers {rule}")
        require_finite(gradients, f"gradients {rule}")


def chunks_are_the_whole(record: PluginRecord) -> None:
    """A sequence in two parts, with the state passed on, gives the same results as the whole."""
    layer = made(record, jit_compile=False)
    feed = draw(layer)
    whole, *final = layer(feed)
    state, parts = None, []
    for part in (slice(0, 2), slice(2, None)):
        answer, *state = layer(feed | {"inputs": feed["inputs"][:, part]}, initial_state=state)
        parts.append(answer)
    joined = {name: tf.concat([part[name] for part in parts], axis=1) for name in whole}
    require_close(joined, whole, "in two parts it gives other results")
    require_close(state, final, "in two parts it ends with another state")


def mixed_precision(record: PluginRecord) -> None:
    """Mixed precision gives nearly the same results, and a system's state is in float32 at least."""
    plain, mixed = made(record), made(record, dtype="mixed_float16")
    feed = draw(plain)
    (expected, *_), (answer, *state) = plain(feed), mixed(feed)
    floats = {name: trace for name, trace in expected.items() if trace.dtype.is_floating}
    require_close(
        {name: answer[name] for name in floats}, floats, "mixed_float16 and float32 are too far apart", 2e-2
    )
    for name, tensor in zip(mixed.state_names, state, strict=True):
        if name.startswith(f"{ID}.") and not name.endswith(".read") and tensor.dtype.is_floating:
            require(tensor.dtype.size >= 4, f"the state {name!r} of a system is in {tensor.dtype.name}")


def stays_finite(record: PluginRecord) -> None:
    """Ten thousand timesteps, and the gradients through a thousand, stay finite."""
    layer = made(record, jit_compile=False, traces=())
    answer, gradients = with_gradients(layer, draw(layer, rows=2, timesteps=LONG))
    require_finite(answer, f"answers and states after {LONG:,} timesteps must be finite")
    require_finite(gradients, f"gradients through {LONG:,} timesteps must be finite")
    run = tf.function(layer, autograph=False, jit_compile=layer.wiring.supports_jit)
    answer = run(draw(layer, rows=2, timesteps=LONGEST))
    require_finite(answer, f"answers and states after {LONGEST:,} timesteps must be finite")


def stays_finite_in_training(record: PluginRecord) -> None:
    """Weights and results stay finite in two thousand training steps towards targets out of reach."""
    layer = made(record, traces=(), return_state=False, jit_compile=False)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(layer.trainable_variables)
    feed = draw(layer)
    targets = TARGETS * tf.random.stateless_normal(layer(feed).shape, seed=(0, 0))

    def train(step: Any) -> Any:
        drawn = {
            name: tf.random.stateless_normal(array.shape, seed=tf.stack([step, number]))
            for number, (name, array) in enumerate(feed.items(), start=1)
        }
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(drawn, training=True) - targets))
        weights = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return step + 1

    def train_on() -> None:
        tf.while_loop(lambda step: step < TRAINED, train, [0])

    tf.function(train_on, autograph=False, jit_compile=layer.wiring.supports_jit)()
    weights = [variable.value for variable in layer.trainable_variables]
    require_finite(weights, f"weights after {TRAINED:,} training steps must be finite")
    require_finite([layer(feed)], f"answers after {TRAINED:,} training steps must be finite")


def saved_and_loaded(record: PluginRecord) -> None:
    """A saved model with it loads in a new process in safe mode, with equal results."""
    layer = made(record, return_state=False)
    inputs = layer.symbolic_inputs()
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


def _require_same(record: PluginRecord, ways: str, **options: Any) -> None:
    _, feed, answer, gradients = plain_answer(record)
    other_answer, other_gradients = with_gradients(made(record, **options), feed)
    rule = f"{ways} it gives other"
    require_close(tf.nest.flatten(other_answer), tf.nest.flatten(answer), f"{rule} answers")
    require_close(tf.nest.flatten(other_gradients), tf.nest.flatten(gradients), f"{rule} gradients")
