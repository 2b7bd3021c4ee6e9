"""Tests of the NTM's memory: worked numbers, the paper's equations in NumPy, and small programs."""

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_ntm import NTMConfig
from superloop_plugin_ntm.addressing import KEY_FLOOR, SLOT_FLOOR, Heads, address, cosine, sharpen
from superloop_plugin_ntm.ntm import NTM, NTMState

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy

LARGE = 1e3  # saturates a sigmoid, a tanh or a softmax


def ntm(dtype="float64", **config):
    """Return a built memory."""
    with dtype_policy(dtype):
        system = NTM(NTMConfig(**config))
        system.build(system.control_size)
    return system


def start(system, batch=1):
    dtype = system.variable_dtype
    return system.initial_state(Sequence(batch_size=batch, timesteps=None, lengths=None, dtype=dtype))


def run(system, controls, state=None):
    """Step through controls ``(timesteps, batch, control)``; return the reads and the last state."""
    state = start(system, controls.shape[1]) if state is None else state
    reads = []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, system.variable_dtype), state, {})
        reads.append(read.numpy())
    return np.stack(reads), tf.nest.map_structure(np.asarray, state)


def control_of(config, reads, writes):
    """Return a control ``(1, control_size)``; a head without parameters stays and writes nothing."""
    idle = {
        "k": np.zeros(config.width),
        "beta": 0,
        "g": -LARGE,
        "s": shifted(config, 0),
        "gamma": 0,
        "e": np.full(config.width, -LARGE),
        "a": np.zeros(config.width),
    }
    heads = [idle | head for head in (*reads, *writes)]
    assert len(heads) == config.heads
    all_heads = [np.ravel(head[name]) for name in ("k", "beta", "g", "s", "gamma") for head in heads]
    write_heads = [head[name] for name in ("e", "a") for head in heads[config.read_heads :]]
    return np.concatenate([*all_heads, *write_heads])[None]


def shifted(config, by):
    """Return the scores of a shift by a number of slots, before the softmax."""
    return LARGE * (np.arange(config.shifts) == config.shift_range + by)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_weighting(config, k, beta, g, s, gamma, memory, before, floors):
    """The weighting of one head of one row."""
    slots = range(config.slots)
    w_c = np.zeros(config.slots)
    for i in slots:
        key_length, slot_length = (np.sqrt(v @ v + f) for v, f in zip((k, memory[i]), floors, strict=True))
        w_c[i] = np.exp(beta * (k @ memory[i]) / (key_length * slot_length))
    w_g = g * w_c / w_c.sum() + (1 - g) * before
    w_shifted = np.zeros(config.slots)
    for i in slots:
        for by in range(-config.shift_range, config.shift_range + 1):
            w_shifted[i] += w_g[(i - by) % config.slots] * s[by + config.shift_range] / s.sum()
    return w_shifted**gamma / (w_shifted**gamma).sum()


def plain(config, memory, w, controls, floors=(KEY_FLOOR, SLOT_FLOOR)):
    """Compute the paper's equations, number by number; return reads, the last memory and weightings."""
    timesteps, batch, _ = controls.shape
    memory, w = np.array(memory, "float64"), np.array(w, "float64")
    reads = np.zeros((timesteps, batch, config.read_heads, config.width))
    heads, slots = range(config.heads), range(config.slots)
    for t in range(timesteps):
        for b in range(batch):
            left = list(controls[t, b])

            def take(count, left=left):
                return np.array([left.pop(0) for _ in range(count)])

            key_of, add_of = ({"tanh": np.tanh, "linear": np.array}[n] for n in (config.keys, config.adds))
            k = [key_of(take(config.width)) for _ in heads]
            beta = [np.logaddexp(0, take(1)[0]) for _ in heads]
            g = [sigmoid(take(1)[0]) for _ in heads]
            s = [np.exp(take(config.shifts)) for _ in heads]
            gamma = [1 + np.logaddexp(0, take(1)[0]) for _ in heads]
            e = [sigmoid(take(config.width)) for _ in range(config.write_heads)]
            a = [add_of(take(config.width)) for _ in range(config.write_heads)]
            assert not left

            parameters = list(zip(k, beta, g, s, gamma, strict=True))
            old = memory[b].copy()
            for h in range(config.read_heads, config.heads):
                w[b, h] = plain_weighting(config, *parameters[h], old, w[b, h], floors)
            w_write = w[b, config.read_heads :]
            for i in slots:
                for h in range(config.write_heads):
                    memory[b, i] *= 1 - w_write[h, i] * e[h]
                for h in range(config.write_heads):
                    memory[b, i] += w_write[h, i] * a[h]
            for h in range(config.read_heads):
                addressed = memory[b] if config.read_addressing == "new" else old
                w[b, h] = plain_weighting(config, *parameters[h], addressed, w[b, h], floors)
                for i in slots:
                    reads[t, b, h] += w[b, h, i] * (memory[b] if config.order == "write_first" else old)[i]
    return reads.reshape(timesteps, batch, -1), memory, w


SMALL = {"slots": 4, "width": 2}
MEMORY = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]]])
BEFORE = np.array([[[0.1, 0.2, 0.3, 0.4]]])
W = [0.090831, 0.328141, 0.164170, 0.416857]
# k along (1, .5), beta = 2, g = .75, s(-1, 0, +1) = (.1, .2, .7), gamma = 2; before their activations.
HEAD = {
    "k": np.arctanh([0.8, 0.4]),
    "beta": np.log(np.expm1(2)),
    "g": np.log(3),
    "s": np.log([0.1, 0.2, 0.7]),
    "gamma": np.log(np.expm1(1)),
}


def test_a_worked_addressing():
    """Checked by hand."""
    k, beta, g, s, gamma = (
        tf.constant([[value]], "float64") for value in ([1, 0.5], [2], [0.75], [0.1, 0.2, 0.7], [2])
    )
    w_c = tf.nn.softmax(beta * cosine(k, tf.constant(MEMORY)))
    np.testing.assert_allclose(w_c[0, 0], [0.391942, 0.160242, 0.436865, 0.010951], atol=2e-6)
    w = address(Heads(k, beta, g, s, gamma), tf.constant(MEMORY), tf.constant(BEFORE))
    np.testing.assert_allclose(w[0, 0], W, atol=2e-6)


def test_a_worked_read_of_an_unchanged_memory():
    system = ntm(**SMALL)
    state = NTMState(*map(tf.constant, (MEMORY, BEFORE, BEFORE)))
    reads, after = run(system, control_of(system.config, [HEAD], [{}])[None], state)
    np.testing.assert_allclose(after.read_weights[0, 0], W, atol=2e-6)
    np.testing.assert_allclose(reads[0, 0], [-0.161856, 0.492312], atol=2e-6)
    np.testing.assert_array_equal(after.memory, MEMORY)


def test_a_worked_write():
    system = ntm(**SMALL)
    state = NTMState(*map(tf.constant, (MEMORY, BEFORE, BEFORE)))
    write = HEAD | {"e": [0, LARGE], "a": np.arctanh([0.3, -0.2])}
    _, after = run(system, control_of(system.config, [{}], [write])[None], state)
    np.testing.assert_allclose(after.write_weights[0, 0], W, atol=2e-6)
    np.testing.assert_allclose(after.memory[0, 0], [0.981834, -0.018166], atol=2e-6)


STARTS = [
    {"initial_memory": memory, "initial_weighting": weighting}
    for memory in ("constant", "random", "learned")
    for weighting in ("first", "uniform", "learned")
    if (memory, weighting) != ("constant", "uniform")
]
ORDERS = [("write_first", "old"), ("write_first", "new"), ("read_first", "old")]
SETTINGS = st.builds(
    lambda order, start, **rest: NTMConfig(order=order[0], read_addressing=order[1], **start, **rest),
    order=st.sampled_from(ORDERS),
    start=st.sampled_from(STARTS),
    keys=st.sampled_from(["tanh", "linear"]),
    adds=st.sampled_from(["tanh", "linear"]),
    slots=st.integers(1, 5),
    width=st.integers(1, 3),
    read_heads=st.integers(1, 3),
    write_heads=st.integers(1, 3),
    shift_range=st.integers(0, 3),
)


@settings(max_examples=40, deadline=None)
@given(config=SETTINGS, seed=st.integers(0, 999), dtype=st.sampled_from(["float32", "float64"]))
def test_steps_compute_the_equations_for_all_settings(config, seed, dtype):
    keras.utils.set_random_seed(seed)
    system = ntm(dtype, **attrs.asdict(config))
    controls = np.random.default_rng(seed).normal(scale=2, size=(2, 5, config.control_size))
    first = start(system, 5)
    reads, after = run(system, controls)
    w = np.concatenate([first.read_weights, first.write_weights], axis=1)
    expected_reads, expected_memory, expected_w = plain(config, first.memory, w, controls)
    w = np.concatenate([after.read_weights, after.write_weights], axis=1)
    tolerance = 1e-10 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(reads, expected_reads, atol=tolerance)
    np.testing.assert_allclose(after.memory, expected_memory, atol=tolerance)
    np.testing.assert_allclose(w, expected_w, atol=tolerance)


def test_the_floors_do_not_change_ordinary_keys():
    system = ntm(slots=4, width=3)
    controls = np.random.default_rng(0).normal(scale=2, size=(8, 2, system.control_size))
    reads, after = run(system, controls)
    first = np.full((2, 4, 3), 1e-6), np.broadcast_to(np.eye(4)[0], (2, 2, 4))
    expected_reads, expected_memory, _ = plain(system.config, *first, controls, floors=(0, 0))
    np.testing.assert_allclose(reads, expected_reads, atol=1e-5)
    np.testing.assert_allclose(after.memory, expected_memory, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_program_copies_a_sequence_exactly(dtype):
    """The write head goes from slot to slot; then the read head does."""
    system = ntm(dtype, slots=8, width=3)
    config = system.config
    items = np.sign(np.random.default_rng(0).normal(size=(7, 3)))
    on = {"s": shifted(config, 1)}
    write = [control_of(config, [{}], [on | {"e": np.full(3, LARGE), "a": LARGE * item}]) for item in items]
    read = [control_of(config, [on], [{}]) for _ in items]
    reads, after = run(system, np.stack(write + read))
    np.testing.assert_array_equal(reads[7:, 0], items)
    np.testing.assert_array_equal(after.memory[0, 1:], items)
    np.testing.assert_allclose(after.read_weights[0, 0], np.eye(8)[7], atol=1e-30)


def test_a_program_reads_a_slot_by_content_and_the_next_slot():
    """Associative recall. The first slot follows the last."""
    system = ntm(slots=5, width=4, read_heads=2)
    memory = np.array([[[-1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1], [-1, 1, 1, -1], [1, -1, 1, -1.0]]])
    state = start(system)._replace(memory=tf.constant(memory))
    found = {"k": memory[0, 4], "beta": LARGE, "g": LARGE}
    next_slot = found | {"s": shifted(system.config, 1)}
    reads, _ = run(system, control_of(system.config, [found, next_slot], [{}])[None], state)
    np.testing.assert_allclose(reads[0, 0], [*memory[0, 4], *memory[0, 0]], atol=1e-12)


def test_a_read_returns_what_the_same_step_writes():
    system = ntm(**SMALL)
    write = {"e": [LARGE, LARGE], "a": np.arctanh([0.5, -0.5])}
    reads, _ = run(system, control_of(system.config, [{}], [write])[None])
    np.testing.assert_allclose(reads[0, 0], [0.5, -0.5], atol=1e-12)


def test_read_first_returns_what_the_step_before_wrote():
    system = ntm(order="read_first", **SMALL)
    written = {"e": [LARGE, LARGE], "a": np.arctanh([0.5, -0.5])}
    control = control_of(system.config, [{}], [written])
    reads, _ = run(system, np.stack([control, control]))
    np.testing.assert_allclose(reads[:, 0], [[1e-6, 1e-6], [0.5, -0.5]], atol=1e-12)


@pytest.mark.parametrize(("addressing", "weight"), [("old", 0.5), ("new", 1.0)])
def test_only_by_the_new_memory_a_key_finds_what_the_same_step_writes(addressing, weight):
    """Slot 0 gets a vector at right angles to what it holds; slot 1 is at right angles to both."""
    system = ntm(slots=2, width=3, read_addressing=addressing)
    state = start(system)._replace(memory=tf.constant([[[1.0, 0, 0], [0, 0, 1]]], "float64"))
    look = {"k": [0, LARGE, 0], "beta": LARGE, "g": LARGE}
    written = {"e": [LARGE] * 3, "a": [0, LARGE, 0]}
    read, after = run(system, control_of(system.config, [look], [written])[None], state)
    np.testing.assert_allclose(after.read_weights[0, 0, 0], weight, atol=1e-6)
    np.testing.assert_allclose(read[0, 0, 1], weight, atol=1e-6)


def test_linear_adds_are_not_bounded():
    system = ntm(slots=1, width=2, adds="linear")
    reads, _ = run(system, control_of(system.config, [{}], [{"e": [LARGE] * 2, "a": [7, -9]}])[None])
    np.testing.assert_allclose(reads[0, 0], [7, -9], atol=1e-12)


def test_a_uniform_start_weighs_all_slots_alike():
    state = start(
        ntm(slots=4, width=2, read_heads=2, initial_memory="random", initial_weighting="uniform"), 3
    )
    np.testing.assert_array_equal(state.read_weights, np.full((3, 2, 4), 0.25))
    np.testing.assert_array_equal(state.write_weights, np.full((3, 1, 4), 0.25))


def test_two_write_heads_on_one_slot_erase_by_the_product_and_add_the_sum():
    system = ntm(slots=2, width=1, write_heads=2)
    state = start(system)._replace(memory=tf.constant([[[8.0], [1.0]]], "float64"))
    writes = [{"e": [0], "a": np.arctanh([0.25])}, {"e": [0], "a": np.arctanh([0.5])}]
    _, after = run(system, control_of(system.config, [{}], writes)[None], state)
    np.testing.assert_allclose(after.memory[0, :, 0], [8 / 4 + 0.75, 1], atol=1e-12)


def test_shifts_wrap_around_the_memory():
    system = ntm(slots=3, width=1, shift_range=4)
    for by in range(-4, 5):
        _, after = run(system, control_of(system.config, [{"s": shifted(system.config, by)}], [{}])[None])
        np.testing.assert_allclose(after.read_weights[0, 0], np.eye(3)[by % 3], atol=1e-12)


def test_a_single_slot_has_weight_one():
    system = ntm(slots=1, width=2)
    controls = np.random.default_rng(0).normal(size=(3, 2, system.control_size))
    _, after = run(system, controls)
    np.testing.assert_allclose(after.read_weights, np.ones((2, 1, 1)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("key", [0.0, 1.0])
@pytest.mark.parametrize("slot", [0.0, 1e-6, 1.0])
def test_the_cosine_of_zero_keys_and_zero_slots_is_zero_and_has_a_gradient(dtype, key, slot):
    k, memory = tf.fill([1, 2, 3], tf.constant(key, dtype)), tf.fill([1, 4, 3], tf.constant(slot, dtype))
    with tf.GradientTape() as tape:
        tape.watch([k, memory])
        cosines = cosine(k, memory)
    np.testing.assert_allclose(cosines, np.full((1, 2, 4), float(key * slot != 0)), atol=1e-4)
    for slope in tape.gradient(cosines, [k, memory]):
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("gamma", "slopes"), [(1, [[1, 0, 0], [0, 1, 0], [-1, -1, 0]]), (3, np.zeros((3, 3)))]
)
def test_sharpening_has_the_gradient_of_the_power_at_a_weight_of_zero(dtype, gamma, slopes):
    w = tf.constant([0.0, 0.0, 1.0], dtype)
    with tf.GradientTape() as tape:
        tape.watch(w)
        sharp = sharpen(w, tf.constant(gamma, dtype))
    np.testing.assert_allclose(sharp, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(tape.jacobian(sharp, w), slopes, atol=1e-6)


def test_enormous_strength_and_sharpness_give_weightings():
    system = ntm("float32", **SMALL)
    head = {"k": [LARGE, -LARGE], "beta": 1e6, "g": 0, "s": [0, 0, 0], "gamma": 1e6}
    state = start(system)._replace(memory=tf.constant(MEMORY, "float32"))
    _, after = run(system, control_of(system.config, [head], [head])[None], state)
    for weights in (after.read_weights, after.write_weights):
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)


@pytest.mark.slow
def test_ten_thousand_random_steps_stay_finite_and_weightings_sum_to_one():
    system = ntm("float32", slots=6, width=3, read_heads=2, write_heads=2)

    @tf.function(autograph=False, jit_compile=True)
    def steps(state):
        def body(t, state, off):
            control = tf.random.stateless_normal((2, system.control_size), seed=(t, 0), stddev=5.0)
            _, state, _ = system.step(control, state, {})
            sums = [tf.reduce_sum(w, axis=-1) for w in (state.read_weights, state.write_weights)]
            return t + 1, state, tf.maximum(off, tf.reduce_max(tf.abs(tf.stack(sums) - 1)))

        return tf.while_loop(lambda t, *_: t < 10_000, body, (0, state, 0.0))

    _, state, off = steps(start(system, 2))
    assert np.isfinite(state.memory).all()
    assert off < 1e-5


def loop(options=(), **config):
    return Superloop(
        {
            "inputs": 2,
            "outputs": 1,
            "cells": [{"use": "gru", "units": 4}],
            "systems": [{"use": "ntm", "id": "ntm", "slots": 5, "width": 2} | config],
        },
        **dict(options),
    )


def test_the_gradient_of_an_untrained_loop_fed_zeros_is_bounded():
    """Its keys start as zeros, where a cosine has no gradient."""
    layer = loop(initial_memory="random")
    inputs = tf.zeros((2, 5, 2))
    layer(inputs)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs))
    for slope in tape.gradient(total, [weight.value for weight in layer.trainable_weights]):
        assert np.abs(slope).max() < 1e4


def test_a_random_memory_is_drawn_with_the_weights_and_stays_the_same():
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        layer = loop({"traces": "ntm.memory"}, initial_memory="random")
        first, again = (layer(inputs)["ntm.memory"][:, 0].numpy() for _ in range(2))
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(first, np.broadcast_to(first[:1], first.shape))
        np.testing.assert_array_equal(layer.session(batch_size=1).state["ntm.memory"], first[:1])
        drawn.append(first[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1
    assert 0.1 < np.std(drawn) < 0.6
    assert np.abs(drawn).max() <= 1


@pytest.mark.parametrize(
    ("memory", "weighting", "trained", "fixed"),
    [
        ("constant", "first", [], []),
        ("random", "first", [], ["first_memory"]),
        ("learned", "learned", ["first_memory", "first_scores"], []),
    ],
)
def test_only_a_learned_start_is_trained(memory, weighting, trained, fixed):
    system = ntm(slots=4, width=2, initial_memory=memory, initial_weighting=weighting)
    assert [weight.name for weight in system.trainable_weights] == trained
    assert [weight.name for weight in system.non_trainable_weights] == fixed
    control = tf.constant(np.random.default_rng(0).normal(size=(2, system.control_size)))
    with tf.GradientTape() as tape:
        read, _, _ = system.step(control, start(system, 2), {})
        total = tf.reduce_sum(read**2)
    for slope in tape.gradient(total, [weight.value for weight in system.trainable_weights]):
        assert np.all(np.abs(slope) > 1e-9)


def test_each_head_has_its_own_learned_weighting():
    state = start(ntm(slots=4, width=2, initial_weighting="learned"), 3)
    for weights in (state.read_weights, state.write_weights):
        np.testing.assert_allclose(np.sum(weights, axis=-1), 1)
    assert np.abs(state.read_weights - state.write_weights).max() > 0.01


@pytest.mark.parametrize(
    "wrong", [{"slots": 0}, {"width": 0}, {"read_heads": 0}, {"write_heads": 0}, {"shift_range": -1}]
)
def test_sizes_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NTMConfig(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": "read_first", "read_addressing": "new"}, "'read_addressing' must be 'old'"),
        ({"initial_weighting": "uniform"}, "'initial_memory' must be 'random' or 'learned'"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        NTMConfig(**wrong)
