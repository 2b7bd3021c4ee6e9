import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(4, 60))
def test_the_target_is_computed_from_the_two_marked_numbers(make, seed, length):
    batch = make("adding", length=length).sample(np.random.default_rng(seed), 20)
    lengths = batch.inputs.get("lengths", [length] * 20)
    for inputs, target, n in zip(batch.inputs["inputs"], batch.targets, lengths, strict=True):
        numbers, marks = inputs[:n].T.tolist()
        marked = [place for place, mark in enumerate(marks) if mark == 1]
        assert len(marked) == 2
        assert marks[0] == marks[-1] == -1
        assert sorted(set(marks) - {-1, 0, 1}) == []
        assert marks.count(-1) == 2
        assert 1 <= marked[0] < marked[1] <= n // 2
        assert marked[0] <= 9
        assert all(-1 <= number <= 1 for number in numbers)
        a, b = (numbers[place] for place in marked)
        assert target == pytest.approx(0.5 + (a + b) / 4, abs=1e-6)


def test_both_places_are_drawn_uniformly(make):
    batch = make("adding", length=60, min_length=60).sample(np.random.default_rng(0), 60_000)
    shares = (batch.inputs["inputs"][:, :, 1] == 1).mean(axis=0)
    early = 1 / 9 + 8 / 9 / 29  # the one that is drawn first, or the other
    np.testing.assert_allclose(shares, [0, *[early] * 9, *[1 / 29] * 21, *[0] * 29], atol=0.006)


def test_the_answer_is_the_last_output_and_an_error_below_4_hundredths_is_correct(make):
    outputs = np.zeros((3, 5, 1), "float32")
    outputs[:, -1, 0] = [0.5, 0.53, 0.55]
    targets = np.full(3, 0.5, "float32")
    task = make("adding")
    np.testing.assert_array_equal(task.correct(targets, {"outputs": outputs}), [True, True, False])
    np.testing.assert_allclose(task.loss(targets, {"outputs": outputs}), (0.03**2 + 0.05**2) / 3, rtol=1e-4)


def test_a_title_has_both_numbers_and_the_target(make):
    task = make("adding", length=8)
    batch = task.sample(np.random.default_rng(0), 1)
    numbers, marks = batch.inputs["inputs"][0].T
    a, b = numbers[marks == 1]
    assert task.annotate(batch, 0).title == f"{a:.2f} and {b:.2f} -> {0.5 + (a + b) / 4:.2f}"
