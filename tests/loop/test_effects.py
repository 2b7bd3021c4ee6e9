"""What a step does besides returning its results: noise, assignments, losses."""

from typing import NamedTuple

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, Superloop, SuperloopError, System, SystemSettings, Wiring, draw_normal
from superloop_core.builder import KerasCell
from superloop_core.loop.trace_selection import ALL
from superloop_core.loop.unroll import Unroll

ROWS, TIMESTEPS = 16, 5
WAYS = {
    "static": {"static": True},
    "loop": {},
    "compiled": {"jit_compile": True},
    "four shards": {"jit_compile": True, "shards": 4},
    "segments": {"jit_compile": True, "checkpoint_every": 2},
}


@attrs.frozen(kw_only=True)
class Settings(SystemSettings):
    control_size: int = 2
    output_size: int = 2


class Vector(NamedTuple):
    vector: tf.Tensor


class Plain(System):
    """Adds up its control; subclasses do more."""

    def initial_state(self, sequence):
        return Vector(ops.zeros((sequence.batch_size, 2)))

    def step(self, control, state, constants):
        new, named = self.more(control, state.vector * 0.9 + control)
        return new, Vector(new), named

    def more(self, control, new):
        return new, {}


class Noisy(Plain):
    stochastic = True

    def more(self, control, new):
        return new + draw_normal((2,)) * control, {}


class Normalized(Plain):
    def build(self, input_size):
        self.normalize = keras.layers.BatchNormalization()
        self.normalize.build((None, 2))

    def constants(self, sequence):
        return sequence.training

    def step(self, control, state, constants):
        new = self.normalize(state.vector * 0.9 + control, training=constants)
        return new, Vector(new), {}


class Dropping(Normalized):
    def build(self, input_size):
        self.normalize = keras.layers.Dropout(0.5, seed=3)


class Sparse(Plain):
    def more(self, control, new):
        return new, {"losses.sparsity": ops.sum(ops.abs(new), axis=1)}


class Adding(Plain):
    def more(self, control, new):
        self.add_loss(ops.mean(ops.square(new)))
        return new, {}


class Complex(Plain):
    def initial_state(self, sequence):
        return Vector(tf.zeros((sequence.batch_size, 2), "complex64"))

    def build(self, input_size):
        self.angle = self.add_weight(shape=(2,), initializer="ones", name="angle")

    def step(self, control, state, constants):
        turn = tf.exp(tf.complex(-0.1 * tf.square(self.angle), self.angle))
        new = state.vector * turn + tf.complex(control, 0.5 * control)
        return tf.math.real(new) + tf.math.imag(new), Vector(new), {}


class Directed(Plain):
    """Of zeros it has no direction, and no gradient."""

    def more(self, control, new):
        return new + control / ops.norm(control, axis=1, keepdims=True), {}


class Regularized(Plain):
    """Adds a loss before the loop, which depends on all rows at once."""

    def build(self, input_size):
        self.initial = keras.layers.Dense(2, activity_regularizer="l2")
        self.initial.build((None, 2))

    def constants(self, sequence):
        return self.initial(ops.ones((sequence.batch_size, 2)))

    def step(self, control, state, constants):
        return control + constants, Vector(state.vector + control), {}


def wired(system):
    keras.utils.set_random_seed(1)
    wiring = Wiring([KerasCell(keras.layers.SimpleRNNCell(3))], {"memo": system}, outputs=2)
    wiring.build(2)
    return wiring


def ran(
    wiring,
    *,
    training=True,
    checkpoint_every=1,
    static=False,
    steps=1,
    mask=None,
    **ways,
):
    """Run a loop in a graph; return the results, the loss and the gradients of the last of some steps."""
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(ROWS, TIMESTEPS, 2)), tf.float32)
    weights = tf.constant(rng.normal(size=(ROWS, TIMESTEPS, 2)), tf.float32)
    unroll = Unroll(wiring, static=static, traces=ALL, checkpoint_every=checkpoint_every)

    @tf.function(autograph=False)
    def step(seed):
        sequence = Sequence(
            batch_size=ROWS,
            timesteps=TIMESTEPS,
            lengths=None,
            dtype="float32",
            training=training,
            seed=seed if wiring.stochastic else None,
        )
        with tf.GradientTape() as tape:
            result = unroll(inputs, sequence, wiring.initial_state(sequence), mask=mask, **ways)
            loss = tf.reduce_sum(result.outputs * weights) + tf.add_n([0.0, *result.losses, *wiring.losses])
        trained = [weight.value for weight in wiring.trainable_variables]
        return result, loss, tape.gradient(loss, trained)

    for number in range(steps):
        results = step(tf.constant([3, number], tf.uint32))
    return results


def in_release(*values):
    return pytest.param(*values, marks=pytest.mark.release)


@pytest.mark.slow
@pytest.mark.parametrize(
    "system", [Noisy, Normalized, Adding, *map(in_release, (Plain, Dropping, Sparse, Complex))]
)
def test_every_way_to_run_a_loop_gives_the_same_results_gradients_and_weights(system, assert_close):
    one = wired(system(Settings()))
    expected = ran(one, steps=2, **WAYS["static"])
    for way in list(WAYS)[1:]:
        other = wired(system(Settings()))
        actual = ran(other, steps=2, **WAYS[way])
        if system is Dropping:  # Keras's own numbers differ under XLA
            assert np.ptp(np.asarray(actual[0].outputs)) > 0, way
        else:
            assert_close(actual[0].outputs, expected[0].outputs, 1e-4, way)
            assert_close(actual[1:], expected[1:], 1e-4, way)
            assert_close([v.numpy() for v in other.variables], [v.numpy() for v in one.variables], 1e-4, way)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "way"),
    [
        *((Noisy, "static"), (Dropping, "static"), (Dropping, "four shards")),
        in_release(Noisy, "four shards"),
    ],
)
def test_noise_is_drawn_anew_at_each_timestep_and_by_each_seed(system, way):
    wiring = wired(system(Settings()))
    ones = [np.asarray(ran(wiring, **WAYS[way])[0].traces["memo.vector"]) for _ in range(2)]
    if system is Noisy:
        np.testing.assert_array_equal(*ones)  # one seed
        assert (
            np.abs(ones[0] - np.asarray(ran(wiring, steps=2, **WAYS[way])[0].traces["memo.vector"])).max()
            > 0.1
        )
    else:
        masks = ones[0][:, 1:] == 0  # each number is dropped, or not
        assert 0.3 < masks.mean() < 0.7
        assert all((masks[:, 0] != masks[:, t]).any() for t in range(1, TIMESTEPS - 1))
        assert (ones[0] != ones[1]).any()  # the layer's generator goes on


@pytest.mark.parametrize("system", [Noisy, Complex])
def test_gradients_are_those_of_the_numbers_that_were_drawn(system):
    wiring = wired(system(Settings()))
    weight, nudge = wiring.trainable_variables[0], 1e-2
    gradient = ran(wiring)[2][0][0, 0]
    losses, value = [], weight.numpy()
    for sign in (1, -1):
        moved = value.copy()
        moved[0, 0] += sign * nudge
        weight.assign(moved)
        losses.append(float(ran(wiring)[1]))
    np.testing.assert_allclose(gradient, (losses[0] - losses[1]) / (2 * nudge), rtol=0.02, atol=0.01)


def test_an_assigned_weight_goes_from_timestep_to_timestep():
    wiring = wired(Normalized(Settings()))
    ran(wiring)
    (mean,) = [v for v in wiring.variables if v.name == "moving_mean"]
    after = mean.numpy()
    assert np.abs(after).max() > 0
    ran(wiring, training=False)
    np.testing.assert_array_equal(mean.numpy(), after)


@pytest.mark.parametrize("way", ["static", "four shards"])
def test_a_named_loss_is_the_sum_of_the_valid_timesteps_and_the_mean_of_the_rows(way, assert_close):
    wiring = wired(Sparse(Settings()))
    lengths = np.arange(ROWS) % (TIMESTEPS + 1)
    mask = tf.constant(np.arange(TIMESTEPS) < lengths[:, None])
    result = ran(wiring, mask=mask, **WAYS[way])[0]
    named = np.asarray(result.traces["memo.losses.sparsity"])
    (loss,) = result.losses
    assert_close(loss, (named * np.asarray(mask)).sum(axis=1).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "checkpoint_every"),
    [
        (Directed, 1),
        (Regularized, 1),
        *(in_release(system, 1) for system in (Normalized, Sparse, Adding)),
        in_release(Noisy, 2),
    ],
)
def test_batches_of_several_sizes_give_with_xla_what_they_give_without(
    system, checkpoint_every, assert_close
):
    def made(jit_compile):
        keras.utils.set_random_seed(1)
        layer = Superloop(
            inputs=2,
            outputs=2,
            cells=[{"use": "simple_rnn", "units": 3, "dropout": 0.25}],
            systems=[system(Settings())],
            traces=ALL,
            return_state=True,
            jit_compile=jit_compile,
            checkpoint_every=checkpoint_every,
        )
        layer.build((None, TIMESTEPS, 2))

        @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, TIMESTEPS, 2))])
        def train(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                results = layer(inputs, training=True)
                sums = [tf.reduce_sum(tf.sin(tensor)) for tensor in tf.nest.flatten(results)]
                loss = tf.add_n(sums + layer.losses)
            watched = inputs, [weight.value for weight in layer.trainable_weights]
            return results, loss, tape.gradient(loss, watched, unconnected_gradients="zero")

        return layer, train

    (layer, train), (plain, train_plain) = made("auto"), made(False)
    for rows in (8, 3, 8, 1, 1, 0):
        inputs = tf.constant(np.random.default_rng(rows).normal(size=(rows, TIMESTEPS, 2)), tf.float32)
        assert_close(train(inputs), train_plain(inputs), 1e-2 if system is Directed else 1e-4)
        assert_close([v.numpy() for v in layer.variables], [v.numpy() for v in plain.variables], 1e-4)


class Assigning(Plain):
    def build(self, input_size):
        self.count = tf.Variable(0.0, trainable=False)

    def more(self, control, new):
        self.count.assign_add(1.0)
        return new, {}


class Trained(Plain):
    def build(self, input_size):
        self.scale = self.add_weight(shape=(), name="scale")

    def more(self, control, new):
        self.scale.assign(self.scale + 1.0)
        return new, {}


class Global(Plain):
    def more(self, control, new):
        return new + keras.random.normal(ops.shape(new)), {}


class Stateful(Plain):
    def more(self, control, new):
        return new + tf.random.normal(tf.shape(new)), {}


class InALoop(Plain):
    def more(self, control, new):
        return tf.while_loop(
            lambda i, _: i < 2, lambda i, x: (i + 1, x + tf.random.normal([])), (0, new), maximum_iterations=2
        )[1], {}


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (
            Assigning,
            r"assigns to a variable that is no weight of the part; .*AssignAddVariableOp \(.*test_effects",
        ),
        (Trained, "assigns to the weight '.*scale', which is trained; make it"),
        (Global, "a SeedGenerator must be an attribute of the part"),
        (
            Stateful,
            r"cannot be repeated in the backward pass; use .*RandomStandardNormal \(.*test_effects.py:",
        ),
        (InALoop, r"cannot be repeated in the backward pass; use .*RandomStandardNormal"),
    ],
)
def test_what_a_loop_cannot_do_right_is_refused(system, words):
    with pytest.raises(SuperloopError, match=words):
        ran(wired(system(Settings())), **WAYS["loop"])


class Stateless(Plain):
    def initial_state(self, sequence):
        return ()

    def step(self, control, state, constants):
        return control * 2, (), {}


@pytest.mark.parametrize("way", ["loop", "four shards"])
def test_a_loop_whose_parts_have_no_state_runs(way, assert_close):
    wiring = wired(Stateless(Settings()))
    assert_close(ran(wiring, **WAYS[way])[0].outputs, ran(wiring, **WAYS["static"])[0].outputs)
