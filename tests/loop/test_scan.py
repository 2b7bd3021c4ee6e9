import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import superloop_core
from superloop_core import SuperloopError, checkpoint
from superloop_core.loop.scan import Scan, SegmentedScan


def step(carry, x, shared):
    """A bit of everything: two carries, an index that is no float, and two things given."""
    h, steps = carry
    new = tf.tanh(h @ shared["kernel"] + x["x"])
    return (new, steps + 1), {"out": new * shared["scale"], "at": steps}


def given_for(length, seed=0):
    rng = np.random.default_rng(seed)
    carry = tf.constant(rng.normal(size=(2, 3))), tf.zeros((2, 1), tf.int32)
    xs = {"x": tf.constant(rng.normal(size=(length, 2, 3)))}
    shared = {"kernel": tf.constant(rng.normal(size=(3, 3))), "scale": tf.constant(rng.normal(size=3))}
    return carry, xs, shared


def by_hand(carry, xs, shared, length):
    outs = []
    for t in range(length):
        carry, y = step(carry, {"x": xs["x"][t]}, shared)
        outs.append(y)
    return carry, {name: tf.stack([y[name] for y in outs]) for name in outs[0]}


def with_gradients(run, carry, xs, shared):
    """What a run gives, and the gradients of a sum in which all of it has a weight of its own."""
    with tf.GradientTape() as tape:
        watched = [carry[0], xs["x"], shared["kernel"], shared["scale"]]
        tape.watch(watched)
        (h, steps), ys = run(carry, xs, shared)
        weights = tf.reshape(tf.range(1.0, tf.size(ys["out"]) + 1, dtype=tf.float64), tf.shape(ys["out"]))
        total = tf.reduce_sum(h**2) + tf.reduce_sum(weights * ys["out"])
    return [h, steps, ys["out"], ys["at"], *tape.gradient(total, watched)]


def made(step, carry, xs, shared, *, every, compiled=False):
    examples = carry, tf.nest.map_structure(lambda x: x[0], xs), shared
    if every == 1:
        return Scan(step, *examples, compiled=compiled)
    return SegmentedScan(step, *examples, every=every, compiled=compiled)


def scanned(length, *, every, keep=True, compiled=False, dynamic=False):
    def run(carry, xs, shared):
        scan = made(step, carry, xs, shared, every=every, compiled=compiled)
        return scan(carry, xs, shared, tf.shape(xs["x"])[0] if dynamic else length, keep=keep)

    return run


def assert_same(results, expected):
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(length=st.integers(1, 7), every=st.integers(1, 8), keep=st.booleans(), dynamic=st.booleans())
def test_a_loop_and_its_gradient_are_those_of_the_steps_by_hand(length, every, keep, dynamic):
    inputs = given_for(length)
    expected = with_gradients(lambda *nests: by_hand(*nests, length), *inputs)
    run = scanned(length, every=every, keep=keep, dynamic=dynamic)
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec([None] * len(t.shape), t.dtype), inputs[1])

    @tf.function(autograph=False)
    def graph(xs):
        return with_gradients(run, inputs[0], xs, inputs[2])

    concrete = graph.get_concrete_function(specs) if dynamic else graph
    assert_same(concrete(inputs[1]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_loop_compiled_by_itself_or_with_all_around_it_gives_the_same(every, where):
    inputs = given_for(7)
    expected = with_gradients(lambda *nests: by_hand(*nests, 7), *inputs)
    run = scanned(7, every=every, compiled=where == "inside")
    graph = tf.function(with_gradients, autograph=False, jit_compile=where == "outside")
    results = graph(run, *inputs)
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2])
def test_compiled_loops_of_the_same_shapes_are_traced_once(every):
    traced = []

    def counted(carry, x, shared):
        traced.append(1)
        return step(carry, x, shared)

    nests = given_for(4)

    def traces(loops):
        traced.clear()

        @tf.function(autograph=False)
        def run():
            scan = made(counted, *nests, every=every, compiled=True)
            return [with_gradients(lambda *nests: scan(*nests, 4), *nests) for _ in range(loops)]

        run()
        return len(traced)

    assert traces(3) == traces(1)
    if every == 1:
        assert traces(3) == 3  # for what it gives, forward, and backward


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "compiled"]
)
def test_what_a_step_does_not_read_has_no_gradient_and_changes_no_other(compiled):
    carry, xs, shared = given_for(4)
    *_, expected, _ = with_gradients(lambda *nests: by_hand(*nests, 4), carry, xs, shared)
    shared = {"unread": tf.constant([1.0, 2.0]), **shared}
    scan = made(step, carry, {"x": xs["x"][0]}, shared, every=1, compiled=compiled)

    @tf.function(autograph=False)
    def graph():
        with tf.GradientTape() as tape:
            tape.watch(shared)
            (h, _), ys = scan(carry, xs, shared, 4)
            weights = tf.reshape(tf.range(1.0, 25, dtype=tf.float64), [4, 2, 3])
            total = tf.reduce_sum(h**2) + tf.reduce_sum(weights * ys["out"])
        return tape.gradient(total, shared)

    found = graph()
    assert found["unread"] is None
    np.testing.assert_allclose(found["kernel"], expected, rtol=1e-9)


@pytest.mark.parametrize("kept", ["carry", "y"])
def test_what_a_step_hands_on_as_it_is_has_its_gradient(kept):
    def hands_on(carry, x, shared):
        return (shared["a"], shared["b"]) if kept == "carry" else (carry, shared["b"])

    shared = {"a": tf.constant([2.0, 3.0]), "b": tf.constant([5.0, 7.0])}
    carry, xs = (tf.zeros(2) if kept == "carry" else ()), tf.zeros([3, 2])
    scan = Scan(hands_on, carry, xs[0], shared)

    @tf.function(autograph=False)
    def graph():
        with tf.GradientTape() as tape:
            tape.watch(shared)
            last, ys = scan(carry, xs, shared, 3)
            total = tf.reduce_sum(last if kept == "carry" else ys) + tf.reduce_sum(ys)
        return tape.gradient(total, shared)

    found = graph()
    times = {"carry": (1.0, 3.0), "y": (None, 6.0)}[kept]
    for slope, number in zip((found["a"], found["b"]), times, strict=True):
        if number is None:
            assert slope is None
        else:
            np.testing.assert_array_equal(slope, [number, number])


def test_a_step_that_uses_what_would_get_no_gradient_is_rejected():
    carry, xs, shared = given_for(4)
    variable = tf.Variable(tf.ones(3, tf.float64), name="hidden")

    def with_variable(carry, x, shared):
        return step(carry, {"x": x["x"] * variable}, shared)

    with pytest.raises(SuperloopError, match=r"its weights \(made with add_weight\).*hidden"):
        Scan(with_variable, carry, {"x": xs["x"][0]}, shared)

    @tf.function(autograph=False)
    def closed_over(outer):
        return Scan(lambda c, x, s: step(c, {"x": x["x"] * outer}, s), carry, {"x": xs["x"][0]}, shared)

    with pytest.raises(SuperloopError, match="outer"):
        closed_over(tf.ones(3, tf.float64))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_may_use_constants_and_variables_that_are_not_trained(compiled):
    carry, xs, shared = given_for(4)
    table = tf.constant([1.0, 2, 3], tf.float64)
    mean = tf.Variable([4.0, 5, 6], trainable=False, dtype=tf.float64)

    def with_constants(carry, x, shared):
        return step(carry, {"x": x["x"] * table + mean}, shared)

    @tf.function(autograph=False)
    def run():
        return made(with_constants, carry, xs, shared, every=1, compiled=compiled)(carry, xs, shared, 4)

    expected = by_hand(carry, {"x": xs["x"] * [1, 2, 3] + [4, 5, 6]}, shared, 4)
    assert_same(tf.nest.flatten(run()), tf.nest.flatten(expected))


def keeping(carry, x, shared):
    """The step, keeping: its product, what a function and a loop of its own compute, and its tanh."""
    h, steps = carry

    @tf.function(autograph=False)
    def summed(product):
        return checkpoint(product + x["x"])

    of_function = summed(checkpoint(h @ shared["kernel"]))
    _, of_loop = tf.while_loop(
        lambda i, _: i < 1,
        lambda i, z: (i + 1, checkpoint(tf.identity(z))),
        (0, of_function),
        maximum_iterations=1,
    )
    new = checkpoint(tf.tanh(of_loop))
    return (new, steps + 1), {"out": new * shared["scale"], "at": steps}


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_what_a_step_has_kept_changes_no_gradient(every, keep, compiled):
    inputs = given_for(7)
    expected = with_gradients(lambda *nests: by_hand(*nests, 7), *inputs)

    @tf.function(autograph=False)
    def graph():
        scan = made(keeping, inputs[0], {"x": inputs[1]["x"][0]}, inputs[2], every=every, compiled=compiled)
        return with_gradients(lambda *nests: scan(*nests, 7, keep=keep), *inputs)

    for result, other in zip(graph(), expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-9)


def test_what_a_step_has_kept_is_not_computed_again():
    inputs = given_for(7)
    calls = []

    @tf.custom_gradient
    def counted(z):
        def count(value):
            calls.append(1)
            return value

        counted = tf.numpy_function(count, [z], z.dtype, stateful=False)  # left out where nothing reads it
        return tf.ensure_shape(counted, z.shape), lambda slope: slope

    def calls_of(keep_it):
        def step(carry, x, shared):
            h, steps = carry
            new = tf.tanh(keep_it(counted(h @ shared["kernel"]) + x["x"]))
            return (new, steps + 1), {"out": new * shared["scale"], "at": steps}

        @tf.function(autograph=False)
        def graph():
            scan = made(step, inputs[0], {"x": inputs[1]["x"][0]}, inputs[2], every=1)
            return with_gradients(lambda *nests: scan(*nests, 7), *inputs)

        calls.clear()
        graph()
        return len(calls)

    assert calls_of(lambda z: z) == 14
    assert calls_of(checkpoint) == 7


def test_outside_a_loop_what_is_kept_is_given_back():
    z = tf.ones(3)
    assert checkpoint(z) is z


def test_the_old_name_of_checkpoint_warns_and_works():
    with pytest.warns(DeprecationWarning, match=r"superloop_core\.kept is now superloop_core\.checkpoint"):
        assert superloop_core.kept(3) == 3
