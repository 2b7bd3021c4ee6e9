"""Tests of the memory of MesaNet: recorded numbers, a regression in NumPy, and ten thousand equal writes."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_kv import MesaConfig
from superloop_plugin_kv.mesa import LEAST_RIDGE, MOST_MASS, Mesa, eliminate, solve
from superloop_plugin_kv.operations import GATE_BIAS

from superloop_core import Sequence

SURE = 100.0


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


def along_the_sphere(slopes, x):
    return slopes - np.sum(slopes * x, axis=-1, keepdims=True) * x


@pytest.mark.parametrize("compiled", [False, True])
def test_reads_sums_and_gradients_are_the_recorded_ones(make, run, recorded, monkeypatch, compiled):
    if compiled:  # solve as compiled code does
        monkeypatch.setattr("superloop_plugin_kv.mesa._solution", eliminate)
    arrays = recorded("mesa", "plain")
    inputs = {key[3:]: tf.constant(array) for key, array in arrays.items() if key.startswith("in/")}
    system = make("mesa", key_size=5, width=5, feature_map="linear")
    ridge = arrays["par/lamb"]
    system.ridge.assign(np.log(np.expm1(ridge - LEAST_RIDGE))[None])
    np.testing.assert_allclose(np.linalg.norm(inputs["q"], axis=-1), 1)  # those of the system are
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        parts = [logit(inputs["beta"])[..., None], inputs["k"], inputs["q"], inputs["v"]]
        control = tf.concat([*parts, logit(inputs["alpha"])[..., None] - GATE_BIAS], axis=-1)
        reads, states = run(system, tf.transpose(control, (1, 0, 2)))
        reads = tf.transpose(reads, (1, 0, 2))
        loss = tf.reduce_sum(reads * arrays["G/o"])
    np.testing.assert_allclose(reads, arrays["out/o"], rtol=0, atol=1e-9)
    covariances, memories = (
        [state.mass[:, :, None, None] * getattr(state, name) for state in states]
        for name in ("covariance", "memory")
    )
    for name, sums in (("Hkk", covariances), ("Hkv", [np.swapaxes(memory, -1, -2) for memory in memories])):
        np.testing.assert_allclose(sums[-1][:, 0], arrays[f"final/{name}"], rtol=0, atol=1e-9)
        if f"trace/{name}" in arrays:
            np.testing.assert_allclose(
                np.stack(sums[:4], axis=1)[:, :, 0], arrays[f"trace/{name}"], atol=1e-9
            )
    *slopes, slope = tape.gradient(loss, [*inputs.values(), system.ridge.value])
    for name, found in zip(inputs, slopes, strict=True):
        expected = arrays[f"grad/{name}"]
        expected = along_the_sphere(expected, inputs[name]) if name in "qk" else expected
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8, err_msg=name)
    share = 1 - np.exp(LEAST_RIDGE - ridge)  # the slope of softplus
    np.testing.assert_allclose(slope[0], arrays["grad/lamb"] * share, rtol=0, atol=1e-8)


def silu(x):
    return x / (1 + np.exp(-x))


def plain(config, ridge, controls):
    """Fit the values under all keys of each head so far, by least squares on rows with weights."""
    timesteps, batch, _ = controls.shape
    heads, d, width = config.heads, config.key_size, config.width
    reads = np.zeros((timesteps, batch, heads, width))
    for b in range(batch):
        for h in range(heads):
            pairs = []  # weight, key, value
            for t in range(timesteps):
                strengths, keys, queries, values, gates = np.split(
                    controls[t, b], np.cumsum([heads, heads * d, heads * d, heads * width])
                )
                key, query = (x.reshape(heads, d)[h] for x in (keys, queries))
                if config.feature_map == "silu":
                    key, query = silu(key), silu(query)
                key, query = key / np.linalg.norm(key), query / np.linalg.norm(query)
                alpha, beta = 1 / (1 + np.exp(-4 - gates[h])), 1 / (1 + np.exp(-strengths[h]))
                pairs = [(alpha * weight, *pair) for weight, *pair in pairs]
                pairs.append((beta, key, values.reshape(heads, width)[h]))
                roots = np.sqrt([weight for weight, _, _ in pairs])[:, None]
                rows = np.concatenate([roots * [key for _, key, _ in pairs], np.diag(np.sqrt(ridge[h]))])
                wanted = np.concatenate([roots * [value for _, _, value in pairs], np.zeros((d, width))])
                reads[t, b, h] = query @ np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return reads.reshape(timesteps, batch, -1)


CONFIGS = st.builds(
    MesaConfig,
    key_size=st.integers(1, 4),
    width=st.integers(1, 3),
    heads=st.integers(1, 3),
    feature_map=st.sampled_from(["linear", "silu"]),
)


@settings(max_examples=25, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_reads_are_those_of_a_regression(make, run, config, seed):
    rng = np.random.default_rng(seed)
    names = ("key_size", "width", "heads", "feature_map")
    system = make("mesa", **{name: getattr(config, name) for name in names})
    system.ridge.assign(rng.normal(size=system.ridge.shape))
    controls = rng.normal(scale=2, size=(5, 2, config.control_size))
    reads, _ = run(system, controls)
    ridge = 0.25 + np.log1p(np.exp(system.ridge.numpy()))
    np.testing.assert_allclose(reads, plain(config, ridge, controls), rtol=1e-9, atol=1e-9)


def test_the_order_of_writes_does_not_matter(make, run):
    """It does to a delta rule, whose last write holds exactly."""
    rng = np.random.default_rng(0)
    writes = np.concatenate(
        [np.full((6, 1), SURE), rng.normal(size=(6, 6)), rng.normal(size=(6, 2)), np.full((6, 1), SURE)],
        axis=1,
    )
    last = [-SURE, 1, 0, 0, 1, 2, 3, 0, 0, SURE]  # reads, and writes nothing
    reads = {
        name: [run(make(name, key_size=3, width=2, **rest), np.array([*order, size])[:, None])[0][-1].numpy()
               for order in (writes, writes[::-1])]
        for name, rest, size in (("mesa", {}, last), ("gated_deltanet", {}, last))
    }  # fmt: skip
    np.testing.assert_allclose(*reads["mesa"], atol=1e-12)
    assert np.abs(np.subtract(*reads["gated_deltanet"])).max() > 0.1


def test_the_first_ridge_is_one_so_a_first_write_reads_half_of_its_value(make, run):
    system = make("mesa", key_size=2, width=1, feature_map="linear")
    reads, _ = run(system, np.array([[[SURE, 3, 0, 5, 0, 8, 0]]]))
    np.testing.assert_allclose(reads[0, 0], [4])


def regression(n, mass, dtype):
    """Return equations of a memory whose ``mass`` is in keys that are much alike, and vectors."""
    rng = np.random.default_rng(n)
    keys = rng.normal(size=(16, 2, 3 * n, n)) * 0.1 ** np.arange(n) + 0.1
    keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
    matrices = mass / (3 * n) * np.einsum("bhti,bhtj->bhij", keys, keys) + LEAST_RIDGE * np.eye(n)
    return tf.constant(matrices, dtype), tf.constant(rng.normal(size=(16, 2, n)), dtype)


@pytest.mark.parametrize("n", [1, 3, 12])
def test_compiled_solutions_and_their_gradients_are_those_of_lapack(n):
    matrices, vectors = regression(n, 20, tf.float64)

    def with_slopes(matrices, vectors):
        with tf.GradientTape() as tape:
            tape.watch([matrices, vectors])
            total = tf.reduce_sum(tf.sin(solve(matrices, vectors)))
        return solve(matrices, vectors), *tape.gradient(total, [matrices, vectors])

    found = tf.function(with_slopes, jit_compile=True, autograph=False)(matrices, vectors)
    x = np.linalg.solve(matrices, vectors[..., None])[..., 0]
    slope = np.linalg.solve(matrices, np.cos(x)[..., None])[..., 0]
    for ours, expected in zip(found, (x, -slope[..., None] * x[..., None, :], slope), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mass", [10, 1000, MOST_MASS])
def test_elimination_in_float32_is_as_exact_as_lapack(mass):
    matrices, vectors = regression(20, mass, tf.float32)
    exact = np.linalg.solve(*(x.numpy().astype("float64") for x in (matrices, vectors[..., None])))[..., 0]

    def error(x):
        return np.max(np.linalg.norm(x - exact, axis=-1) / np.linalg.norm(exact, axis=-1))

    pivoted = tf.linalg.solve(matrices, vectors[..., None])[..., 0]
    assert error(eliminate(matrices, vectors)) < 2 * error(pivoted) < 0.01


@pytest.mark.slow
def test_ten_thousand_writes_under_few_keys_stay_exact_in_float32():
    """Sums in float32 would be indefinite by more than the ridge. The keys of a row take turns, or do not."""
    system = Mesa(MesaConfig(key_size=2, width=1, feature_map="linear"))
    system.build(1)
    system.ridge.assign([[-9.0, -9.0]])  # nearly the least ridge
    rng = np.random.default_rng(1)
    keys, values = rng.normal(size=(2, 40, 2)), rng.normal(size=(2, 40, 1))
    turns = np.array([10_000] * 20 + [10] * 10 + [2500] * 10)  # timesteps until the other key

    @tf.function(autograph=False, jit_compile=True)
    def after(keys, values):
        def control(t, strength):
            second = (t // turns % 2 == 1)[:, None]
            key, value = (tf.where(second, x[1], x[0]) for x in (keys, values))
            one = tf.ones((40, 1))
            return tf.concat([strength * one, key, keys[1], value, SURE * one], axis=-1)

        sequence = Sequence(batch_size=40, timesteps=None, lengths=None, dtype="float32")
        state = tf.while_loop(
            lambda t, state: t < 10_000,
            lambda t, state: (t + 1, system.step(control(t, SURE), state, {})[1]),
            (0, system.initial_state(sequence)),
        )[1]
        return state.mass, system.step(control(0, -SURE), state, {})[0]

    mass, reads = after(*(tf.constant(x, tf.float32) for x in (keys, values)))
    np.testing.assert_array_equal(mass, np.full((40, 1), 10_000))
    unit = keys / np.linalg.norm(keys, axis=-1, keepdims=True)
    counts = np.where(turns < 10_000, [[5000], [5000]], [[10_000], [0]])[..., None]
    covariance = np.einsum("kbc,kbi,kbj->bij", counts, unit, unit)
    fitted = np.linalg.solve(covariance + (0.25 + np.log1p(np.exp(-9))) * np.eye(2), unit[1][..., None])
    expected = np.einsum("kbc,kbi,bij->bj", counts * values, unit, fitted)
    np.testing.assert_allclose(reads, expected, rtol=0, atol=0.01)


def test_the_mass_is_bounded(make, run):
    system = make("mesa", key_size=2, width=1)
    (start,) = run(system, np.zeros((1, 1, system.control_size)))[1]
    full = start._replace(mass=tf.constant([[MOST_MASS]], tf.float64))
    _, (end,) = run(system, np.array([[[SURE, 1, 2, 1, 2, 3, SURE]]]), full)
    np.testing.assert_array_equal(end.mass, [[MOST_MASS]])


@pytest.mark.parametrize("gate", [-SURE, SURE])
def test_a_memory_without_writes_reads_zeros_and_has_finite_gradients(make, run, gate):
    system = make("mesa", key_size=2, width=1)
    control = tf.constant([[[-2 * SURE, 0, 0, 0, 0, 3, gate]]] * 2, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(control)
        reads, states = run(system, control)
        loss = tf.reduce_sum(reads) + tf.reduce_sum(states[-1].memory)
    np.testing.assert_allclose(reads, np.zeros((2, 1, 1)), atol=1e-12)
    assert np.isfinite(tape.gradient(loss, control)).all()


@pytest.mark.parametrize("wrong", [{"key_size": 0}, {"width": 0}, {"heads": 0}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MesaConfig(**wrong)
