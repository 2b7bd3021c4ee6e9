import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_attention import ContentAttentionConfig
from superloop_plugin_attention.content_attention import ContentAttention

from superloop_core import Sequence
from superloop_core.builder import dtype_policy


def content_attention(rng, **config):
    """Return a ContentAttention in float64 with random weights."""
    with dtype_policy("float64"):
        system = ContentAttention(ContentAttentionConfig(**config))
        system.build(system.control_size)
    system.set_weights([rng.normal(size=weight.shape) for weight in system.weights])
    return system


def look(system, query, data, mask=None):
    """Take one step; return the read vector and the weights."""
    sequence = Sequence(
        batch_size=len(data),
        timesteps=1,
        lengths=None,
        dtype="float64",
        sources={"data": tf.constant(data, tf.float64)},
        masks={} if mask is None else {"data": tf.constant(mask)},
    )
    constants = system.constants(sequence)
    read, _, named = system.step(tf.constant(query, tf.float64), (), constants)
    return read.numpy(), named["weights"].numpy()


def plain(config, weights, query, data, mask):
    """The equations, datapoint by datapoint."""
    reads, shares = np.zeros((len(data), config.width)), np.zeros(mask.shape)
    for b, (q, points) in enumerate(zip(query, data, strict=True)):
        scores = {}
        for i, point in enumerate(points):
            key = point @ weights[0]
            if config.score == "dot":
                score = sum(x * y for x, y in zip(key, q, strict=True)) / np.sqrt(config.key_size)
            else:
                score = sum(v * np.tanh(x + y) for v, x, y in zip(weights[1][:, 0], q, key, strict=True))
            if mask[b, i]:
                scores[i] = np.exp(score)
        for i, score in scores.items():
            shares[b, i] = score / sum(scores.values())
            reads[b] += shares[b, i] * points[i]
    return reads, shares


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 3),
    key_size=st.integers(1, 4),
    score=st.sampled_from(["dot", "additive"]),
    datapoints=st.integers(1, 5),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_a_step_computes_the_equations_for_all_settings(width, key_size, score, datapoints, masked, seed):
    rng = np.random.default_rng(seed)
    system = content_attention(rng, width=width, key_size=key_size, score=score)
    data, query = rng.normal(size=(3, datapoints, width)), rng.normal(scale=3, size=(3, key_size))
    mask = rng.random((3, datapoints)) < (0.6 if masked else 2)  # all of a batch element may be masked
    actual = look(system, query, data, mask if masked else None)
    expected = plain(system.config, system.get_weights(), query, data, mask)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_a_query_of_one_key_by_hand():
    """Scores ln 3 and 0, after division by the root of the key size, give weights 3/4 and 1/4."""
    system = content_attention(np.random.default_rng(0), width=2, key_size=2)
    system.set_weights([np.eye(2)])
    read, weights = look(system, [[np.log(3) * 2**0.5, 0]], [[[1.0, 0], [0, 2]]])
    np.testing.assert_allclose(weights, [[0.75, 0.25]])
    np.testing.assert_allclose(read, [[0.75, 0.5]])


@pytest.mark.slow
def test_an_additive_score_by_hand():
    """tanh(q + k) is 0 where q = -k, and 1 where q + k is large."""
    system = content_attention(np.random.default_rng(0), width=1, key_size=1, score="additive")
    system.set_weights([np.ones((1, 1)), np.full((1, 1), np.log(3))])
    read, weights = look(system, [[50.0]], [[[-50.0], [50.0]]])
    np.testing.assert_allclose(weights, [[0.25, 0.75]])
    np.testing.assert_allclose(read, [[25.0]])


@pytest.mark.parametrize("score", ["dot", "additive"])
def test_masked_data_has_weight_zero_and_a_fully_masked_source_reads_zeros_with_a_finite_gradient(score):
    system = content_attention(np.random.default_rng(0), width=2, key_size=3, score=score)
    data = np.array([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])
    mask = np.array([[True, False], [False, False]])
    read, weights = look(system, np.ones((2, 3)), data * mask[..., None], mask)
    np.testing.assert_array_equal(weights, [[1, 0], [0, 0]])
    np.testing.assert_array_equal(read, [[1, 2], [0, 0]])
    sequence = Sequence(
        batch_size=2,
        timesteps=1,
        lengths=None,
        dtype="float64",
        sources={"data": tf.constant(data)},
        masks={"data": mask},
    )
    query = tf.ones((2, 3), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(query)
        total = tf.reduce_sum(system.step(query, (), system.constants(sequence))[0])
    assert np.isfinite(tape.gradient(total, query)).all()


def test_an_enormous_query_selects_one_datapoint():
    system = content_attention(np.random.default_rng(0), width=1, key_size=1)
    system.set_weights([np.ones((1, 1))])
    read, weights = look(system, [[1e300]], [[[1.0], [2.0]]])
    np.testing.assert_array_equal(weights, [[0, 1]])
    np.testing.assert_array_equal(read, [[2]])


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 1, "key_size": 0}, {"width": 1, "datapoints": -1}])
def test_sizes_out_of_range_are_rejected(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        ContentAttentionConfig(**wrong)
