"""Loss, accuracy and metrics against float64 NumPy, one token after the other."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_tasks import TokenAccuracyConfig, WrongBitsConfig
from superloop_plugin_tasks.scoring import TokenAccuracy, WrongBits, all_correct, cross_entropy

token_accuracy, wrong_bits = TokenAccuracy(TokenAccuracyConfig()), WrongBits(WrongBitsConfig())
KINDS = pytest.mark.parametrize("kind", ["classes", "bits"])


def drawn(kind, seed, rows=4, timesteps=5, size=3):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(rows, timesteps, size)).astype("float32")
    shape = (rows, timesteps) if kind == "classes" else logits.shape
    targets = rng.integers(0, size if kind == "classes" else 2, shape).astype("int32")
    asked = rng.random((rows, timesteps)) < 0.6
    asked[0, 0] = True
    targets[~asked] = -1
    return targets, {"outputs": logits}


def scored_one_by_one(kind, targets, results):
    losses, right, bits = [], [], []
    for row, logits in zip(targets, results["outputs"].astype("float64"), strict=True):
        right.append([])
        bits.append(0)
        for target, at_t in zip(row, logits, strict=True):
            if np.all(target < 0):
                continue
            if kind == "classes":
                losses.append(np.log(np.exp(at_t).sum()) - at_t[target])
                right[-1].append(max(range(len(at_t)), key=at_t.__getitem__) == target)
                bits[-1] += not right[-1][-1]
            else:
                chances = 1 / (1 + np.exp(-at_t))
                losses.extend(-np.log(np.where(target == 1, chances, 1 - chances)))
                wrong = sum((logit > 0) != (bit == 1) for logit, bit in zip(at_t, target, strict=True))
                right[-1].append(wrong == 0)
                bits[-1] += wrong
    return np.mean(losses), right, bits


@KINDS
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_figures_ignore_tokens_without_a_target(kind, seed):
    targets, results = drawn(kind, seed)
    loss, right, bits = scored_one_by_one(kind, targets, results)
    np.testing.assert_allclose(cross_entropy(targets, results), loss, rtol=1e-5)
    np.testing.assert_array_equal(all_correct(targets, results), [all(row) for row in right])
    shares = [np.mean(row) if row else 1.0 for row in right]
    np.testing.assert_allclose(token_accuracy(targets, results), shares, rtol=1e-6)
    np.testing.assert_array_equal(wrong_bits(targets, results), bits)


@KINDS
def test_logits_of_any_size_have_a_finite_loss_and_gradient(kind):
    targets, results = drawn(kind, 0)
    for scale in (0.0, 1e4, 1e30):
        logits = tf.constant(results["outputs"] * scale)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = cross_entropy(tf.constant(targets), {"outputs": logits})
        assert np.isfinite(loss)
        gradient = tape.gradient(loss, logits).numpy()
        assert np.isfinite(gradient).all()
        assert not gradient[(targets < 0) if kind == "classes" else (targets < 0).all(axis=-1)].any()


@KINDS
def test_without_targets_the_loss_is_0_and_everything_is_correct(kind):
    targets, results = drawn(kind, 0)
    targets = np.full_like(targets, -1)
    assert float(cross_entropy(targets, results)) == 0
    assert np.all(all_correct(targets, results))
    np.testing.assert_array_equal(token_accuracy(targets, results), [1] * 4)
    np.testing.assert_array_equal(wrong_bits(targets, results), [0] * 4)


@KINDS
def test_a_compiled_loss_is_the_same(kind):
    targets, results = drawn(kind, 1)
    compiled = tf.function(cross_entropy, jit_compile=True)
    given = {"outputs": tf.constant(results["outputs"])}
    np.testing.assert_allclose(
        compiled(tf.constant(targets), given), cross_entropy(targets, results), rtol=1e-5
    )


@KINDS
def test_the_loss_of_half_precision_is_computed_in_float32(kind):
    targets, results = drawn(kind, 2)
    half = {"outputs": tf.cast(results["outputs"], "float16")}
    full = {"outputs": tf.cast(half["outputs"], "float64")}
    assert cross_entropy(targets, half).dtype == "float32"
    assert cross_entropy(targets, full).dtype == "float64"
    np.testing.assert_allclose(cross_entropy(targets, half), cross_entropy(targets, full), rtol=1e-6)
