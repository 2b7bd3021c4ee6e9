import numpy as np
import pytest
from superloop_plugin_view import plot
from superloop_plugin_view.labels import fit_tokens

from superloop_core import Traces

TIMESTEPS = 5


@pytest.fixture
def traces():
    rng = np.random.default_rng(0)
    arrays = {"memo.cells": rng.random((2, TIMESTEPS, 4, 2)), "memo.gate": rng.random((2, TIMESTEPS, 1))}
    return Traces(arrays=arrays, reached={"mask": np.arange(TIMESTEPS) < np.array([[5], [3]])})


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def above(axes):
    (above,) = axes.child_axes
    return [label.get_text() for label in above.get_xticklabels()]


def below(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def test_input_tokens_stand_above_the_timesteps_of_a_sequence(traces):
    figure = plot(traces, inputs=np.arange(10).reshape(2, 5))
    assert [above(axes) for axes in panels(figure)] == [list("01234")] * 2 + [list("567")] * 2
    first, *_ = panels(figure)
    assert first.child_axes[0].get_xticks().tolist() == [0, 1, 2, 3, 4]


def test_wrong_answers_are_bold_and_have_the_target_below(traces):
    figure = plot(traces, sequences=[0], answers=["abcde"], targets=["abxde"])
    for axes in panels(figure):
        assert below(axes) == ["a", "b", "c\n(x)", "d", "e"]
        weights = [label.get_fontweight() for label in axes.get_xticklabels()]
        assert [weight == "bold" for weight in weights] == [False, False, True, False, False]
        assert axes.get_xlabel() == "answer (target)"
    figure = plot(traces, sequences=[0], answers=["abcde"])
    assert below(panels(figure)[0]) == list("abcde")


def test_tokens_stand_above_the_top_panels_and_answers_below_the_lowest(traces):
    first, second = panels(plot(traces, sequences=[0], inputs=["abcde"], answers=["vwxyz"], across=1))
    assert above(first) == list("abcde")
    assert (first.get_xlabel(), second.get_xlabel()) == ("timestep", "answer")
    assert not second.child_axes
    assert below(second) == list("vwxyz")


def test_long_tokens_stand_upright_and_of_very_many_some_are_left_out(traces):
    words = [["a", "considerable", "number", "of", "words"]]
    first, _ = panels(plot(traces, sequences=[0], inputs=words, width="page"))
    assert {label.get_rotation() for label in first.child_axes[0].get_xticklabels()} == {0}
    first, _ = panels(plot(traces, sequences=[0], inputs=[["unquestionably so"] * 5], width="page"))
    assert {label.get_rotation() for label in first.child_axes[0].get_xticklabels()} == {90}
    assert fit_tokens(["a"] * 10, 300, 9) == (9, False, 1)
    assert fit_tokens(["a"] * 600, 300, 9) == (5, True, 12)


def test_vectors_are_no_tokens(traces):
    with pytest.raises(ValueError, match="one for each timestep, and not vectors"):
        plot(traces, inputs=np.ones((2, 5, 3)))
