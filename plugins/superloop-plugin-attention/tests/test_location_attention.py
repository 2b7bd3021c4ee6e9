import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_attention import LocationAttentionConfig
from superloop_plugin_attention.location_attention import LocationAttention, LocationAttentionState

from superloop_core import Sequence
from superloop_core.builder import dtype_policy


def location_attention(dtype="float64", **config):
    with dtype_policy(dtype):
        return LocationAttention(LocationAttentionConfig(**config))


def walk(system, controls, data, mask=None):
    """Step through controls ``(timesteps, batch, control)``; return reads, positions and weights."""
    sequence = Sequence(
        batch_size=len(data),
        timesteps=len(controls),
        lengths=None,
        dtype="float64",
        sources={"data": tf.constant(data, tf.float64)},
        masks={} if mask is None else {"data": tf.constant(mask)},
    )
    state, constants = system.initial_state(sequence), system.constants(sequence)
    steps = []
    for control in controls:
        read, state, named = system.step(tf.constant(control, tf.float64), state, constants)
        steps.append((read, state.position, named["weights"]))
    return [np.stack(one) for one in zip(*steps, strict=True)]


def plain(components, controls, data, mask):
    """Compute Graves's equations, which count from 1 and start at 0, component by component."""
    timesteps, batch, _ = controls.shape
    kappa = np.zeros((batch, components))
    reads, positions = np.zeros((timesteps, batch, data.shape[2])), np.zeros((timesteps, batch, components))
    weights = np.zeros((timesteps, *data.shape[:2]))
    for t in range(timesteps):
        for b in range(batch):
            alpha, beta, step = np.exp(controls[t, b]).reshape(3, components)
            for k in range(components):
                kappa[b, k] += step[k]
                for u in range(1, data.shape[1] + 1):
                    if mask[b, u - 1]:
                        weights[t, b, u - 1] += alpha[k] * np.exp(-beta[k] * (kappa[b, k] - u) ** 2)
            for u in range(1, data.shape[1] + 1):
                reads[t, b] += weights[t, b, u - 1] * data[b, u - 1]
        positions[t] = kappa - 1  # counted from 0
    return reads, positions, weights


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 3),
    components=st.integers(1, 3),
    datapoints=st.integers(1, 5),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_steps_compute_the_equations_for_all_settings(width, components, datapoints, masked, seed):
    rng = np.random.default_rng(seed)
    system = location_attention(width=width, components=components)
    controls = np.minimum(rng.normal(size=(4, 2, system.control_size)), 4.9)
    data = rng.normal(size=(2, datapoints, width))
    mask = rng.random((2, datapoints)) < (0.6 if masked else 2)
    actual = walk(system, controls, data, mask if masked else None)
    for ours, theirs in zip(actual, plain(components, controls, data, mask), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_controls_of_zero_move_by_one_datapoint_per_step():
    """exp(0) = 1: the first step ends at the first datapoint; distances 1 and 2 weigh exp(-1) and exp(-4)."""
    data = np.eye(3)[None]
    reads, positions, _ = walk(location_attention(width=3, components=1), np.zeros((3, 1, 3)), data)
    np.testing.assert_array_equal(positions[:, 0, 0], [0, 1, 2])
    e1, e4 = np.exp(-1), np.exp(-4)
    np.testing.assert_allclose(reads[:, 0], [[1, e1, e4], [e1, 1, e1], [e4, e1, 1]])


def test_components_add_up():
    """One stays at the start, with height 2; the other is at the first datapoint, with height 3."""
    control = np.log([[2, 3, 0.5, 2, 1e-30, 1]])
    _, positions, weights = walk(location_attention(width=1, components=2), control[None], np.ones((1, 2, 1)))
    np.testing.assert_allclose(positions[0, 0], [-1, 0], atol=1e-12)
    expected = [2 * np.exp(-0.5) + 3, 2 * np.exp(-0.5 * 4) + 3 * np.exp(-2)]
    np.testing.assert_allclose(weights[0, 0], expected)


def test_above_five_the_exponential_continues_as_its_tangent():
    system = location_attention(width=1, components=1)
    controls = np.array([[[0, 0, 4.9]], [[0, 0, 5.0]], [[0, 0, 7.0]], [[0, 0, -200.0]]])
    _, positions, _ = walk(system, controls, np.ones((1, 2, 1)))
    steps = np.diff(positions[:, 0, 0], prepend=-1)
    np.testing.assert_allclose(steps, [np.exp(4.9), np.exp(5), 3 * np.exp(5), 0], atol=1e-9)


@pytest.mark.slow
def test_enormous_controls_and_their_gradient_stay_finite_for_a_thousand_steps():
    """Two batch elements of each size."""
    system = location_attention("float32", width=2, components=2)
    size = tf.constant([1e3, -1e3, 1e6, -1e6] * 2)[:, None]
    signs = tf.sign(tf.random.stateless_normal((1000, 8, 6), seed=(1, 2)))
    controls = size * tf.where(signs > 0, 1.0, tf.random.stateless_uniform(signs.shape, seed=(3, 4)))
    constants = tf.ones((8, 5, 2)), tf.ones((8, 5))

    @tf.function(autograph=False, jit_compile=True)
    def run(controls):
        def body(t, position, total):
            read, state, _ = system.step(controls[t], LocationAttentionState(position), constants)
            return t + 1, state.position, total + tf.reduce_sum(read, axis=1)

        with tf.GradientTape() as tape:
            tape.watch(controls)
            start = (0, -tf.ones((8, 2)), tf.zeros(8))
            _, position, total = tf.while_loop(lambda t, *_: t < 1000, body, start, maximum_iterations=1000)
        return position, total, tape.gradient(total, controls)

    for tensor in run(controls):
        assert np.isfinite(tensor).all()


def test_the_window_of_the_paper_is_the_default():
    assert LocationAttentionConfig(width=1).control_size == 30  # 3 numbers for each of 10 components


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"width": 1, "components": 0}, {"width": 1, "datapoints": -1}]
)
def test_sizes_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        LocationAttentionConfig(**wrong)
