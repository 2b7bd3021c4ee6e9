"""The DNC against worked numbers, against the paper in plain NumPy, and as a machine that runs a program."""

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from superloop_plugin_dnc import DNCConfig
from superloop_plugin_dnc.allocation import TINY, allocation, next_usage, retention
from superloop_plugin_dnc.content import among_largest, content_weights
from superloop_plugin_dnc.dnc import DNC, DNCState
from superloop_plugin_dnc.links import Links, follow, next_links

from superloop_core import Sequence, Superloop

FORMS = [
    {},
    {"top_k": 2},
    {"links": "sparse", "top_k": 2},
    {"links": "none"},
    {"links": "none", "top_k": 1},
    {"masked": True, "deallocate": True, "sharpened": True},
    {"write_heads": 2, "strengths": "softplus", "clip": 1.5},
]


def dnc(dtype="float64", **config):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return DNC(DNCConfig(**config))
    finally:
        keras.config.set_dtype_policy(before)


def empty(system, batch=1):
    sequence = Sequence(batch_size=batch, timesteps=1, lengths=None, dtype=system.variable_dtype)
    return system.initial_state(sequence)


def f64(x):
    return tf.constant(x, "float64")


def weighting(rng, *shape):
    """Weights that sum to less than 1."""
    e = np.exp(rng.normal(scale=2, size=shape))
    return e / e.sum(-1, keepdims=True) * rng.uniform(0.5, 1, size=(*shape[:-1], 1))


def in_use(config, batch, seed):
    """A state as it may be after some steps, with no two slots alike; an array by field."""
    rng = np.random.default_rng(seed)
    slots = config.slots
    heads = (config.write_heads,) if config.write_heads > 1 else ()
    state = {
        "memory": rng.normal(size=(batch, slots, config.width)),
        "usage": rng.uniform(size=(batch, slots)),
        "write_weights": weighting(rng, batch, *heads, slots),
        "read_weights": weighting(rng, batch, config.read_heads, slots),
    }
    if config.links != "none":
        link = weighting(rng, batch, *heads, slots, slots) / slots * (1 - np.eye(slots))
        state |= {"link": link, "precedence": weighting(rng, batch, *heads, slots)}
    return state


def as_state(state):
    tensors = {name: f64(array) for name, array in state.items()}
    links = Links(tensors.pop("link"), tensors.pop("precedence")) if "link" in tensors else ()
    return DNCState(**tensors, links=links)


def by_name(state):
    """The state's tensors, those of the links beside the others."""
    links = state.links._asdict() if state.links else {}
    return {name: tensor for name, tensor in state._asdict().items() if name != "links"} | links


# The paper, slot by slot.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def cut(x, k):
    """All but the k largest set to 0; of equals the first are kept."""
    kept = sorted(range(len(x)), key=lambda i: (-x[i], i))[:k]
    return np.array([value if i in kept else 0.0 for i, value in enumerate(x)])


def plain_content(memory, key, strength, k=0, mask=1.0):
    similarity = []
    for row in memory:
        seen, looked_for = row * mask, key * mask
        similarity.append(
            seen @ looked_for / np.sqrt((seen @ seen + 1e-6) * (looked_for @ looked_for + 1e-6))
        )
    similarity = np.array(similarity)
    kept = sorted(range(len(memory)), key=lambda i: (-similarity[i], i))[: k or len(memory)]
    weights = np.zeros(len(memory))
    weights[kept] = softmax(strength * similarity[kept])
    return weights


def free_list_of(usage):
    """Slots from the freest; of equals, which are those of equal logarithms as TensorFlow computes them.

    In a vector, the last numbers' may differ from the others' in the last bit.
    """
    return np.argsort(tf.math.log(usage[None] + TINY)[0], kind="stable")


def plain_allocation(usage):
    """As in the paper, with its free list."""
    free_list = free_list_of(usage)
    a = np.zeros(len(usage))
    product = 1.0
    for slot in free_list:
        a[slot] = (1 - usage[slot]) * product
        product *= usage[slot]
    return a


def plain_step(config, control, state):
    """One step of one row: the read, and the state after."""
    slots, width, reads, writes = config.slots, config.width, config.read_heads, config.write_heads
    numbers = iter(np.clip(control, -config.clip, config.clip) if config.clip else control)

    def take(*shape):
        return np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape)

    softplus = {"oneplus": lambda x: 1 + np.log1p(np.exp(x)), "softplus": lambda x: np.log1p(np.exp(x))}
    read_keys, read_strengths = take(reads, width), softplus[config.strengths](take(reads))
    write_keys, write_strengths = take(writes, width), softplus[config.strengths](take(writes))
    erase, value = sigmoid(take(writes, width)), take(writes, width)
    free_gates, allocation_gates, write_gates = (sigmoid(take(n)) for n in (reads, writes, writes))
    linked = config.links != "none"
    modes = [softmax(take(1 + 2 * writes)) for _ in range(reads)] if linked else None
    read_masks, write_masks = np.ones((reads, width)), np.ones((writes, width))
    if config.masked:
        read_masks, write_masks = sigmoid(take(reads, width)), sigmoid(take(writes, width))
    sharpness = softplus["oneplus"](take(reads, 2 * writes)) if config.sharpened else None
    assert next(numbers, None) is None

    new = {name: array.copy() for name, array in state.items()}
    old_writes = np.reshape(state["write_weights"], (writes, slots))
    psi = np.ones(slots)
    for i in range(slots):
        for r in range(reads):
            psi[i] *= 1 - free_gates[r] * state["read_weights"][r, i]
        unwritten = np.prod([1 - old_writes[h, i] for h in range(writes)])
        new["usage"][i] = (1 - (1 - state["usage"][i]) * unwritten) * psi[i]
    usage, w = new["usage"].copy(), np.zeros((writes, slots))
    for h in range(writes):
        a = plain_allocation(usage)
        c = plain_content(state["memory"], write_keys[h], write_strengths[h], mask=write_masks[h])
        w[h] = write_gates[h] * (allocation_gates[h] * a + (1 - allocation_gates[h]) * c)
        usage = usage + (1 - usage) * allocation_gates[h] * write_gates[h] * a
    new["write_weights"] = w.reshape(state["write_weights"].shape)
    for i in range(slots):
        for d in range(width):
            erased = np.prod([1 - w[h, i] * erase[h, d] for h in range(writes)])
            erased *= psi[i] if config.deallocate else 1
            new["memory"][i, d] = state["memory"][i, d] * erased + sum(w[:, i] * value[:, d])
    links = []
    if linked:
        old = zip(
            np.reshape(state["link"], (writes, slots, slots)),
            np.reshape(state["precedence"], (writes, slots)),
            strict=True,
        )
        for h, (link, p) in enumerate(old):
            after = np.zeros((slots, slots))
            for i in range(slots):
                for j in range(slots):
                    after[i, j] = 0 if i == j else (1 - w[h, i] - w[h, j]) * link[i, j] + w[h, i] * p[j]
            p_after = (1 - w[h].sum()) * p + w[h]
            if config.links == "sparse":
                after = np.array([cut(row, config.top_k) for row in after])
                p_after = cut(p_after, config.top_k)
            links.append((after, p_after))
        new["link"] = np.reshape([link for link, _ in links], state["link"].shape)
        new["precedence"] = np.reshape([p for _, p in links], state["precedence"].shape)
    found = []
    for r in range(reads):
        ways = []
        for transposed in (True, False):
            for link, _ in links:
                way = (link.T if transposed else link) @ state["read_weights"][r]
                if config.sharpened:
                    way = (way + 1e-6) ** sharpness[r, len(ways)]
                    way /= way.sum()
                ways.append(way)
        mask = read_masks[r]
        weights = plain_content(new["memory"], read_keys[r], read_strengths[r], config.top_k, mask)
        if linked:
            weights = sum(share * way for share, way in zip(modes[r], [*ways, weights], strict=True))
        new["read_weights"][r] = weights
        found.append(sum(weights[i] * new["memory"][i] for i in range(slots)))
    return np.concatenate(found), new


@st.composite
def configs(draw):
    slots = draw(st.integers(1, 6))
    links = draw(st.sampled_from(["full", "sparse", "none"]))
    return DNCConfig(
        slots=slots,
        width=draw(st.integers(1, 4)),
        read_heads=draw(st.integers(1, 3)),
        links=links,
        top_k=draw(st.integers(1 if links == "sparse" else 0, slots)),
        write_heads=draw(st.integers(1, 3)),
        strengths=draw(st.sampled_from(["oneplus", "softplus"])),
        masked=draw(st.booleans()),
        deallocate=draw(st.booleans()),
        sharpened=links != "none" and draw(st.booleans()),
        clip=draw(st.sampled_from([0.0, 1.0])),
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(config=configs(), batch=st.integers(1, 3), seed=st.integers(0, 999))
def test_for_all_settings_it_computes_the_equations_of_the_paper(config, batch, seed):
    system = dnc(**attrs.asdict(config))
    expected = in_use(config, batch, seed)
    state = as_state(expected)
    controls = np.random.default_rng(seed).normal(scale=3, size=(6, batch, config.control_size))
    for control in controls:
        read, state, named = system.step(f64(control), state, {})
        rows = [
            plain_step(config, control[row], {name: array[row] for name, array in expected.items()})
            for row in range(batch)
        ]
        expected = {name: np.stack([new[name] for _, new in rows]) for name in expected}
        np.testing.assert_allclose(read, np.stack([of_row for of_row, _ in rows]), rtol=1e-10, atol=1e-12)
        traced = {"allocation_gate", "write_gate", "free_gates"}
        traced |= set() if config.links == "none" else {"read_modes"}
        traced |= {"read_masks", "write_masks"} if config.masked else set()
        assert set(named) == traced | ({"sharpness"} if config.sharpened else set())
    assert set(by_name(state)) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(by_name(state)[name], array, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_in_float32_from_an_empty_memory_it_computes_the_same(form):
    config = DNCConfig(slots=4, width=3, read_heads=2, **form)
    system = dnc("float32", slots=4, width=3, read_heads=2, **form)
    state = empty(system)
    expected = {name: np.zeros(tensor.shape[1:]) for name, tensor in by_name(state).items()}
    for control in np.random.default_rng(5).normal(size=(12, 1, config.control_size)):
        read, state, _ = system.step(tf.constant(control, "float32"), state, {})
        row, expected = plain_step(config, control[0], expected)
        np.testing.assert_allclose(read[0], row, atol=2e-5)


def test_the_worked_allocation():
    np.testing.assert_allclose(allocation(f64([[0.5, 0.1, 0.9, 0.3]])), [[0.015, 0.9, 0.0015, 0.07]])


def test_the_worked_links():
    w, p = f64([[0.036, 0.072, 0.108, 0.684]]), f64([[0, 0.5, 0.5, 0]])
    link, precedence = next_links(Links(tf.zeros((1, 4, 4), "float64"), p), w)
    np.testing.assert_allclose(link[0, 3], [0, 0.342, 0.342, 0])
    np.testing.assert_allclose(np.diagonal(link[0]), [0] * 4)
    np.testing.assert_allclose(precedence[0], [0.036, 0.122, 0.158, 0.684])


@settings(max_examples=50, deadline=None)
@example(usage=[0.0, 1 / 8, 1 / 8, 5 / 8, 5 / 8])
@given(usage=st.lists(st.integers(0, 8).map(lambda n: n / 8) | st.just(1e-9), min_size=1, max_size=9))
def test_allocation_is_what_sorting_gives_and_so_is_its_gradient(usage):
    usage = np.array(usage)
    slopes = np.random.default_rng(len(usage)).normal(size=len(usage))
    u = f64(usage[None])
    with tf.GradientTape() as tape:
        tape.watch(u)
        a = allocation(u)
    np.testing.assert_allclose(a[0], plain_allocation(usage), rtol=1e-9, atol=1e-20)
    free_list = free_list_of(usage)
    expected = np.zeros(len(usage))
    for place, j in enumerate(free_list):
        before = free_list[:place]
        expected[j] -= slopes[j] * np.prod(usage[before])
        for i in before:
            expected[i] += slopes[j] * (1 - usage[j]) * np.prod(usage[[k for k in before if k != i]])
    gradient = tape.gradient(a, u, output_gradients=f64(slopes[None]))
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-9, atol=1e-9)


def test_an_unused_slot_is_allocated_whole_and_a_full_memory_not_at_all():
    np.testing.assert_array_equal(allocation(tf.constant([[0.0, 0.0, 0.0]])), [[1, 0, 0]])
    np.testing.assert_array_equal(allocation(tf.constant([[1.0, 1.0, 0.0]])), [[0, 0, 1]])
    np.testing.assert_array_equal(allocation(tf.constant([[1.0, 1.0, 1.0]])), [[0, 0, 0]])


def test_usage_stays_within_0_and_1_whatever_rounding_does():
    rng = np.random.default_rng(0)
    ends = np.array([0, 1, 1 - 2**-24, 2**-24, 1e-30, 0.1, 0.3], "float32")
    pick = [tf.constant(rng.choice(ends, size=(20_000, n))) for n in (1, 1, 2, 2)]
    usage, write_weights, read_weights, free_gates = pick
    for tensor in (read_weights, read_weights * (1 + 2**-22)):  # weights that rounding made more than 1
        psi = retention(tensor[:, :, None], free_gates)
        new = next_usage(usage, [write_weights], psi).numpy()
        assert new.min() >= 0
        assert new.max() <= 1


def test_a_zero_key_and_a_zero_slot_are_as_similar_to_anything():
    memory = tf.Variable([[[0.0, 0.0], [1.0, 0.0], [0.0, -1.0]]])
    keys = tf.Variable([[[0.0, 0.0], [2.0, 0.0]]])
    with tf.GradientTape() as tape:
        weights = content_weights(memory, keys, tf.constant([[5.0, 5.0]]))
        total = tf.reduce_sum(tf.sin(weights))
    np.testing.assert_allclose(weights[0, 0], [1 / 3] * 3, rtol=1e-6)
    e = np.exp(5)
    np.testing.assert_allclose(weights[0, 1], np.array([1, e, 1]) / (e + 2), rtol=1e-5)
    for gradient in tape.gradient(total, (memory, keys)):
        assert np.isfinite(gradient).all()


def test_of_equals_those_that_come_first_are_among_the_largest():
    for compiled in (False, True):
        largest = tf.function(among_largest, jit_compile=compiled, autograph=False)
        for dtype in ("float32", "float64"):
            found = largest(tf.constant([[0, 1, 1, 1], [2, 0, 0, 0]], dtype), 2)
            np.testing.assert_array_equal(found, [[0, 1, 1, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize("links", ["full", "sparse"])
def test_to_keep_all_slots_is_to_keep_as_many_as_there_are(links):
    whole = dnc(slots=3, width=2)
    kept = dnc(slots=3, width=2, links=links, top_k=3)
    state = as_state(in_use(whole.config, 2, seed=1))
    control = f64(np.random.default_rng(2).normal(size=(2, whole.control_size)))
    for one, other in zip(
        tf.nest.flatten(whole.step(control, state, {})),
        tf.nest.flatten(kept.step(control, state, {})),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def told(config, **parts):
    """A control of the parts given; the others are zeros, and gates closed."""
    closed = {"free_gates", "allocation_gate", "write_gate"}
    control = []
    for name, size in config.interface.items():
        part = np.asarray(parts.get(name, np.full(size, -200.0 if name in closed else 0.0)), float)
        control += list(np.broadcast_to(part.ravel(), (size,)))
    return f64([control])


OPEN = 200.0
BACKWARD, FORWARD, CONTENT = np.eye(3) * 400
VECTORS = np.array([[1.0, 0, 0, 2], [0, 1, 0, -1], [0, 0, 1, 3]])


def allocated_write(config, vector):
    gates = {"allocation_gate": OPEN, "write_gate": OPEN, "erase": OPEN}
    return told(config, write_vector=vector, read_modes=CONTENT, **gates)


@pytest.mark.parametrize("form", [{}, {"links": "sparse", "top_k": 1}])
def test_a_program_writes_three_vectors_and_reads_them_in_order_and_back(form):
    system = dnc(slots=5, width=4, **form)
    config, state = system.config, empty(system)
    for slot, vector in enumerate(VECTORS):
        _, state, _ = system.step(allocated_write(config, vector), state, {})
        np.testing.assert_allclose(state.write_weights, np.eye(5)[[slot]], atol=1e-12)
    np.testing.assert_allclose(state.memory[0, :3], VECTORS, atol=1e-12)

    found = told(config, read_keys=VECTORS[0], read_strengths=1e3, read_modes=CONTENT)
    program = [found, *[told(config, read_modes=way) for way in (FORWARD, FORWARD, BACKWARD, BACKWARD)]]
    for control, expected in zip(program, (0, 1, 2, 1, 0), strict=True):
        read, state, _ = system.step(control, state, {})
        np.testing.assert_allclose(read, VECTORS[[expected]], atol=1e-12)
    for way in (BACKWARD, FORWARD):  # before the first there is nothing, and nowhere to come back from
        read, state, _ = system.step(told(config, read_modes=way), state, {})
        np.testing.assert_allclose(read, np.zeros((1, 4)), atol=1e-12)


def test_a_slot_that_was_freed_is_allocated_again():
    system = dnc(slots=3, width=4)
    config, state = system.config, empty(system)
    for vector in VECTORS:
        _, state, _ = system.step(allocated_write(config, vector), state, {})
    found = told(config, read_keys=VECTORS[1], read_strengths=1e3, read_modes=CONTENT)
    _, state, _ = system.step(found, state, {})
    np.testing.assert_allclose(state.usage, [[1, 1, 1]], atol=1e-12)
    control = allocated_write(config, [7.0, 7, 7, 7])
    parts = {"free_gates": OPEN, "allocation_gate": OPEN, "write_gate": OPEN, "erase": OPEN}
    freeing = told(config, write_vector=[7.0, 7, 7, 7], read_modes=FORWARD, **parts)
    _, freed, _ = system.step(freeing, state, {})
    np.testing.assert_allclose(freed.usage, [[1, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(freed.write_weights, [[0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(freed.memory[0, 1], [7, 7, 7, 7], atol=1e-12)
    _, kept, _ = system.step(control, state, {})  # without freeing there is no room
    np.testing.assert_allclose(kept.memory, state.memory, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_the_slopes_that_finite_differences_find(form):
    system = dnc(slots=4, width=3, read_heads=2, **form)
    rng = np.random.default_rng(3)
    state = as_state(in_use(system.config, 2, seed=4))
    points = [*tf.nest.flatten(state), *(f64(rng.normal(size=(2, system.control_size))) for _ in range(3))]
    ways = [f64(rng.normal(size=point.shape)) for point in points]

    def loss(points):
        start = tf.nest.pack_sequence_as(state, points[:-3])
        total, now = 0.0, start
        for control in points[-3:]:
            read, now, _ = system.step(control, now, {})
            total += tf.reduce_sum(tf.sin(3 * read))
        return total

    with tf.GradientTape() as tape:
        tape.watch(points)
        total = loss(points)
    gradients = tape.gradient(total, points)
    assert all(np.any(gradient != 0) for gradient in gradients)
    slope = sum(float(tf.reduce_sum(g * way)) for g, way in zip(gradients, ways, strict=True))
    ahead, behind = (loss([p + h * way for p, way in zip(points, ways, strict=True)]) for h in (1e-6, -1e-6))
    np.testing.assert_allclose((ahead - behind) / 2e-6, slope, rtol=1e-6)


@pytest.mark.release
@pytest.mark.parametrize("form", [{}, {"links": "sparse", "top_k": 2}, {"links": "none"}])
def test_ten_thousand_steps_at_random_stay_finite_and_weightings_weightings(form):
    """Gates are shut or open as often as between, and some controls are zeros."""
    system = dnc("float32", slots=7, width=3, read_heads=2, **form)
    size = system.control_size

    def body(t, state, low, high):
        control = tf.random.stateless_normal((2, size), seed=tf.stack([t, 1]))
        scale = tf.gather(
            [0.0, 1.0, 10.0, 100.0], tf.random.stateless_uniform((2, 1), [t, 2], 0, 4, tf.int32)
        )
        read, state, _ = system.step(control * scale, state, {})
        weights = [state.usage, state.write_weights, state.read_weights]
        sums = [tf.reduce_sum(state.write_weights, -1), tf.reduce_sum(state.read_weights, -1)]
        if state.links:
            link, precedence = state.links
            weights += [link, precedence]
            sums += [tf.reduce_sum(link, 1), tf.reduce_sum(link, 2), tf.reduce_sum(precedence, -1)]
        finite = tf.reduce_all(tf.math.is_finite(read)) & tf.reduce_all(tf.math.is_finite(state.memory))
        bad = tf.where(finite, 0.0, np.inf)
        low = tf.minimum(low, tf.reduce_min([tf.reduce_min(tensor) for tensor in weights]))
        high = tf.maximum(high, tf.reduce_max([bad, *[tf.reduce_max(tensor) for tensor in sums + weights]]))
        return t + 1, state, low, high

    @tf.function(jit_compile=True, autograph=False)
    def run():
        start = tf.constant(0), empty(system, batch=2), 0.0, 0.0
        return tf.while_loop(lambda t, *_: t < 10_000, body, start)

    _, state, low, high = run()
    for tensor in tf.nest.flatten(state):
        assert np.isfinite(tensor).all()
    assert low > -1e-5
    assert 0 < high < 1 + 1e-5


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_loop_records_what_the_memory_did(jit_compile):
    layer = Superloop(
        {
            "inputs": 2,
            "outputs": 1,
            "outputs_read_systems": True,
            "cells": [{"use": "lstm", "units": 4}],
            "systems": [{"use": "dnc", "id": "dnc", "slots": 5, "width": 3, "read_heads": 2}],
        },
        jit_compile=jit_compile,
        traces="all",
    )
    traces = layer(np.ones((2, 4, 2), "float32"))
    shapes = {
        "memory": (5, 3),
        "usage": (5,),
        "write_weights": (5,),
        "read_weights": (2, 5),
        "link": (5, 5),
        "precedence": (5,),
        "allocation_gate": (1,),
        "write_gate": (1,),
        "free_gates": (2,),
        "read_modes": (2, 3),
    }
    for name, shape in shapes.items():
        assert traces[f"dnc.{name}"].shape == (2, 4, *shape)


def test_each_read_mode_does_what_its_label_in_pictures_says():
    """Slots 0, 1 and 2 were written in this order, slot 1 was read last, and the key is that of slot 3."""
    system = dnc(slots=4, width=4)
    link = np.zeros((1, 4, 4))
    link[0, 1, 0] = link[0, 2, 1] = 1
    before = empty(system)._replace(
        memory=f64(np.eye(4)[None]),
        read_weights=f64([[[0, 1, 0, 0]]]),
        links=Links(f64(link), f64([[0, 0, 1, 0]])),
    )
    sizes = system.config.interface
    slots = {}
    for index, label in enumerate(system.slot_names["read_modes"]):
        control = {name: np.zeros(size) for name, size in sizes.items()} | {
            "read_keys": np.array([0, 0, 0, 1]),
            "read_strengths": [50],
            "write_gate": [-50],  # nothing is written
            "read_modes": [50 * (index == other) for other in range(3)],
        }
        read, _, traces = system.step(f64(np.concatenate(list(control.values()))[None]), before, {})
        assert np.argmax(traces["read_modes"]) == index
        slots[label] = int(np.argmax(read))
    assert slots == {"backward": 0, "forward": 2, "content": 3}


def test_following_links_of_a_single_slot_leads_nowhere():
    links = next_links(Links(tf.zeros((1, 1, 1)), tf.ones((1, 1))), tf.ones((1, 1)))
    for way in follow(links, tf.ones((1, 1, 1))):
        np.testing.assert_array_equal(way, [[[0]]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"slots": 0}, "'slots'"),
        ({"width": 0}, "'width'"),
        ({"read_heads": 0}, "'read_heads'"),
        ({"top_k": -1}, "'top_k'"),
        ({"slots": 3, "top_k": 4}, "'top_k' must be at most 'slots', 3: 4"),
        ({"links": "sparse"}, "'top_k' must be >= 1 where 'links' are 'sparse': 0"),
        ({"write_heads": 0}, "'write_heads'"),
        ({"clip": -1.0}, "'clip'"),
        (
            {"links": "none", "sharpened": True},
            "'links' must not be 'none' where reads are 'sharpened': 'none'",
        ),
    ],
)
def test_settings_that_do_not_fit_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        DNCConfig(**wrong)
