import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import Superloop, SuperloopError, TraceError, importance
from superloop_core.testing.subject import draw_weights

NUDGE = 1e-6


@pytest.fixture
def stack(made, stack_loop):
    """A loop in float64 with a stack, and its inputs."""
    return made(stack_loop(), timesteps=4, dtype="float64")


def scores_by_hand(layer, feed, at, share):
    """The log probabilities of the model's choices, where a share of the write at ``at`` is made."""
    outputs = {}
    for name, made in (("usual", 1.0), ("changed", share)):
        session = layer.session(batch_size=3)
        steps = []
        for t in range(4):
            old = np.array(session.state["memo.cells"])
            steps.append(np.array(session.step(feed["inputs"][:, t])))
            if t == at:
                new = np.array(session.state["memo.cells"])
                session.state = {"memo.cells": old + made * (new - old)}
        outputs[name] = np.stack(steps, axis=1)
    choice = outputs["usual"].argmax(axis=-1)
    changed = outputs["changed"]
    log = changed - np.log(np.exp(changed).sum(axis=-1, keepdims=True))
    return np.take_along_axis(log, choice[..., None], axis=-1)[..., 0]


@pytest.mark.parametrize("at_once", [None, 1, 3])
def test_ablation_is_the_score_less_that_of_a_run_by_hand_without_the_write(stack, at_once):
    layer, feed = stack
    found = importance(layer, feed, "memo", at_once=at_once)
    assert found.shape == (3, 4, 4)
    for t in range(4):
        expected = scores_by_hand(layer, feed, t, 1.0) - scores_by_hand(layer, feed, t, 0.0)
        np.testing.assert_allclose(found[:, t], expected, atol=1e-12)
    # A write at t shows in the memory after it, and its own read vector stays.
    written, answered = np.indices((4, 4))
    limit = 0 if at_once == 1 else 1e-14
    assert np.abs(found[:, answered <= written]).max() <= limit
    assert np.all(found[:, answered > written + 1] != 0)


def test_the_gradient_is_the_finite_difference_by_the_share_of_a_write(stack):
    layer, feed = stack
    found = importance(layer, feed, "memo.cells", method="gradient")
    for t in range(4):
        more, less = (scores_by_hand(layer, feed, t, 1 + by) for by in (NUDGE, -NUDGE))
        np.testing.assert_allclose(found[:, t], (more - less) / (2 * NUDGE), atol=1e-6)
    assert np.abs(found).max() > 1e-3


def test_where_the_score_is_linear_in_the_memory_both_methods_agree(made, make_loop):
    # The registers after the first step reach the last answer through one read vector and a linear cell.
    cell = {"use": "dense", "units": 3, "activation": "linear"}
    layer, feed = made(make_loop("scratch", cells=[cell]), timesteps=3, dtype="float64")

    def score(results):
        return tf.reduce_sum(results[:, -1:], axis=-1)

    ablation = importance(layer, feed, "scratch", score=score)
    gradient = importance(layer, feed, "scratch", score=score, method="gradient")
    assert ablation.shape == gradient.shape == (3, 3, 1)
    # The write at t = 1 is only in the read vector that the last step makes, which no answer sees.
    np.testing.assert_allclose(ablation[:, 1:], 0, atol=1e-14)
    np.testing.assert_allclose(gradient[:, 1:], 0)
    np.testing.assert_allclose(gradient[:, 0], ablation[:, 0], rtol=1e-6)
    assert np.all(np.abs(ablation[:, 0]) > 1e-4)


def test_a_push_that_a_later_read_uncovers_matters_by_its_value():
    """A stack under the orders of its inputs (value, act): push 3, push 2, pop."""
    layer = Superloop(
        {
            "inputs": 2,
            "cells": [{"use": "dense", "units": 3, "activation": "linear"}],
            "systems": [{"use": "stack", "id": "memo", "depth": 3, "width": 1}],
        }
    )
    x = np.array([[[3, 99], [2, 99], [0, -99], [0, -99]]], "float32")
    layer(x)
    to_control = [[0, 0, 0, 1], [1, -1, 0, 0], [0, 0, 0, 0]]
    values = {(3, 3): np.eye(3), (3, 4): np.array(to_control), (3,): np.zeros(3), (4,): np.zeros(4)}
    layer.set_weights([values[weight.shape] for weight in layer.weights])
    np.testing.assert_allclose(layer(x)[0, :, 2], [0, 3, 2, 3])  # the read vector, as the cell sees it
    found = importance(layer, x, "memo", score=lambda results: results[:, :, 2])
    # Without either push, the pop uncovers nothing; the read of a push itself stays.
    np.testing.assert_allclose(found[0], [[0, 0, 0, 3], [0, 0, 0, 3], [0] * 4, [0] * 4], atol=1e-6)


def test_a_model_of_several_answers_needs_a_score(stack_loop, x):
    inputs = keras.Input((5, 2))
    h = Superloop(stack_loop(), name="loop")(inputs)
    model = keras.Model(inputs, [h, keras.layers.Dense(1)(h)])
    with pytest.raises(SuperloopError, match="the results are several: pass a score"):
        importance(model, x, "memo")
    found = importance(model, x, "memo", score=lambda results: results[1][:, -1], method="gradient")
    assert found.shape == (3, 5, 1)
    with pytest.raises(SuperloopError, match=r"a score must be \(3, answers\): \(3,\)"):
        importance(model, x, "memo", score=lambda results: results[1][:, -1, 0])


def test_masks_and_lengths_are_copied_with_the_batch(stack_loop, x):
    layer = Superloop(stack_loop())
    layer(x)
    lengths = np.array([5, 2, 4])
    found = importance(layer, {"inputs": x, "lengths": lengths}, "memo")
    mask = np.arange(5) < lengths[:, None]
    np.testing.assert_array_equal(found, importance(layer, x, "memo", mask=mask))
    assert not np.any(found[1, 1:])


def test_a_wrong_name_is_an_error(stack):
    layer, feed = stack
    with pytest.raises(TraceError, match="no state 'meme'; did you mean 'memo'"):
        importance(layer, feed, "meme")
    with pytest.raises(SuperloopError, match="no method 'gradients'; did you mean 'gradient'"):
        importance(layer, feed, "memo", method="gradients")


def test_a_model_that_ends_in_a_softmax_has_the_importance_of_its_logits(stack_loop, x):
    inputs = keras.Input((5, 2))
    logits = Superloop(stack_loop(), name="loop")(inputs)
    plain = keras.Model(inputs, logits)
    draw_weights(plain)
    ending = keras.Model(inputs, keras.layers.Softmax()(logits))
    for method in ("ablation", "gradient"):
        expected = importance(plain, x, "memo", method=method)
        found = importance(ending, x, "memo", method=method)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-5)
