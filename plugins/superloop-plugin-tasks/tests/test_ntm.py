"""The tasks of the Neural Turing Machine, each sequence read one timestep after the other."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def rows_of(batch):
    lengths = batch.inputs.get("lengths", [batch.targets.shape[1]] * len(batch.targets))
    for inputs, targets, timesteps in zip(batch.inputs["inputs"], batch.targets, lengths, strict=True):
        yield inputs[:timesteps].tolist(), targets[:timesteps].tolist()


def first(inputs, channel):
    return next(t for t, timestep in enumerate(inputs) if timestep[channel])


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 12), width=st.integers(1, 9), data=st.data())
def test_copy_requests_the_vectors_after_the_delimiter(make, seed, length, width, data):
    low = data.draw(st.integers(1, length))
    task = make("copy", length=length, min_length=low, width=width)
    for inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        n = first(inputs, width)
        assert low <= n <= length
        assert inputs[n] == [0] * width + [1]
        assert not np.any(inputs[n + 1 :])
        assert all(timestep[width] == 0 for timestep in inputs[:n])
        assert targets[: n + 1] == [[-1] * width] * (n + 1)
        assert targets[n + 1 :] == [timestep[:width] for timestep in inputs[:n]]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 6), width=st.integers(1, 5), repeats=st.integers(1, 12))
def test_repeat_copy_requests_the_vectors_repeatedly_and_then_the_end(make, seed, length, width, repeats):
    task = make("repeat_copy", length=length, width=width, repeats=repeats)
    for inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        n = first(inputs, width)
        times = round(inputs[n][width + 1] * np.sqrt(8.25) + 5.5)
        assert 1 <= times <= repeats
        assert inputs[n][:width] == [0] * width
        assert not np.any(inputs[n + 1 :])
        copies = [[*timestep[:width], 0] for timestep in inputs[:n]] * times
        assert targets == [[-1] * (width + 1)] * (n + 1) + copies + [[0] * width + [1]]


def test_the_number_of_repeats_has_mean_0_and_variance_1_as_in_the_paper(make):
    task = make("repeat_copy", length=2, repeats=10)
    inputs = task.sample(np.random.default_rng(0), 20_000).inputs["inputs"]
    numbers = inputs[:, :, 9][inputs[:, :, 8] == 1]
    assert len(numbers) == 20_000
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.var() - 1) < 0.02


def test_min_repeats_is_at_most_repeats(make):
    with pytest.raises(ValueError, match=r"'min_repeats' must be <= repeats \(2\): 3"):
        make("repeat_copy", repeats=2, min_repeats=3)
    task = make("repeat_copy", length=3, min_length=3, repeats=5, min_repeats=4)
    assert set(task.sample(np.random.default_rng(0), 50).inputs["lengths"]) == {
        3 + 1 + 3 * r + 1 for r in (4, 5)
    }


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, length=st.integers(2, 7), width=st.integers(1, 6), vectors=st.integers(1, 4))
def test_associative_recall_requests_the_item_after_the_query(make, seed, length, width, vectors):
    task = make("associative_recall", length=length, width=width, vectors=vectors)
    for inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        query = first(inputs, width + 1)
        items, place = [], 0
        while place < query:
            assert inputs[place] == [0] * width + [1, 0]
            items.append([timestep[:width] for timestep in inputs[place + 1 : place + 1 + vectors]])
            place += 1 + vectors
        assert place == query
        assert 2 <= len(items) <= length
        assert inputs[query] == inputs[query + vectors + 1] == [0] * width + [0, 1]
        shown = [timestep[:width] for timestep in inputs[query + 1 : query + 1 + vectors]]
        answer = query + vectors + 2
        assert len(inputs) == answer + vectors
        assert not np.any(inputs[answer:])
        assert targets[:answer] == [[-1] * width] * answer
        after = [item for before, item in pairwise(items) if before == shown]
        assert targets[answer:] in after


def test_every_item_but_the_last_can_be_the_query(make):
    task = make("associative_recall", length=4, min_length=4, vectors=1, width=40)
    inputs = task.sample(np.random.default_rng(0), 6000).inputs["inputs"]
    items, query = inputs[:, 1:8:2, :40], inputs[:, 9, :40]
    places = (items == query[:, None]).all(axis=-1).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(places) / 6000, [1 / 3] * 3, atol=0.025)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 12), width=st.integers(1, 6), highest=st.integers(1, 14))
def test_priority_sort_requests_the_highest_in_order(make, seed, length, width, highest):
    task = make("priority_sort", length=length, width=width, highest=highest)
    for inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        n = first(inputs, width + 1)
        assert inputs[n] == [0] * (width + 1) + [1]
        assert not np.any(inputs[n + 1 :])
        assert all(-1 <= timestep[width] <= 1 for timestep in inputs[:n])
        ordered = sorted(inputs[:n], key=lambda timestep: timestep[width], reverse=True)
        assert targets[: n + 1] == [[-1] * width] * (n + 1)
        assert targets[n + 1 :] == [timestep[:width] for timestep in ordered[:highest]]


@pytest.mark.parametrize("name", ["copy", "repeat_copy", "associative_recall", "priority_sort"])
def test_bits_are_drawn_uniformly(make, name):
    targets = make(name).sample(np.random.default_rng(0), 3000).targets[..., :6]
    asked = targets[targets >= 0]
    share = asked.mean() if name != "repeat_copy" else targets[:, 2][targets[:, 2] >= 0].mean()
    assert abs(share - 0.5) < 0.02
