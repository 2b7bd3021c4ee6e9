"""The task of permutations, against lists that are rearranged in plain Python."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def words_of(inputs, items):
    """Read the permutations of a row's inputs, as tuples."""
    everything = list(permutations(range(items)))
    assert (inputs.sum(axis=1) == 1).all()
    return [everything[timestep.argmax()] for timestep in inputs]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    items=st.integers(2, 5),
    lengths=st.tuples(st.integers(1, 12), st.integers(0, 12)),
    answer=st.sampled_from(["always", "last"]),
)
def test_targets_are_the_arrangements_of_a_row(make, seed, items, lengths, answer):
    low, high = lengths[0], sum(lengths)
    task = make("permutations", items=items, min_length=low, length=high, answer=answer)
    batch = task.sample(np.random.default_rng(seed), 10)
    everything = list(permutations(range(items)))
    for row, count in enumerate(batch.inputs.get("lengths", [high] * 10)):
        assert low <= count <= high
        cards, expected = list(range(items)), []
        for permutation in words_of(batch.inputs["inputs"][row, :count], items):
            cards = [cards[place] for place in permutation]
            expected.append(everything.index(tuple(cards)))
        if answer == "last":
            expected[:-1] = [-1] * (count - 1)
        np.testing.assert_array_equal(batch.targets[row, :count], expected)


def test_the_worked_example(make):
    """120, then 102, then 021: 012 becomes 120, 210 and 201."""
    task = make("permutations", length=3, min_length=3)
    words = task.settings.alphabet
    assert words == ("012", "021", "102", "120", "201", "210")
    now, seen = 0, []
    for word in ("120", "102", "021"):
        now = task.products[now, words.index(word)]
        seen.append(words[now])
    assert seen == ["120", "210", "201"]


def test_two_items_are_a_parity(make):
    batch = make("permutations", items=2, length=30, min_length=30).sample(np.random.default_rng(0), 20)
    np.testing.assert_array_equal(batch.targets, batch.inputs["inputs"][:, :, 1].cumsum(axis=1) % 2)


@pytest.mark.parametrize("items", [3, 4])
def test_every_permutation_and_every_arrangement_is_equally_frequent(make, items):
    task = make("permutations", items=items, length=20, min_length=20)
    batch = task.sample(np.random.default_rng(1), 5000)
    share = 1 / task.settings.output_size
    np.testing.assert_allclose(batch.inputs["inputs"].mean(axis=(0, 1)), share, atol=0.15 * share)
    np.testing.assert_allclose(np.bincount(batch.targets[:, -1]) / 5000, share, atol=0.3 * share)


def test_a_title_has_the_permutations_and_the_last_arrangement(make):
    task = make("permutations", length=3, min_length=3)
    title = task.title(task.sample(np.random.default_rng(2), 1), 0)
    *words, arrow, answer = title.split()
    assert arrow == "->"
    cards = "012"
    for word in words:
        cards = "".join(cards[int(place)] for place in word)
    assert len(words) == 3
    assert answer == cards


@pytest.mark.parametrize("wrong", [{"items": 1}, {"items": 7}, {"length": 0}])
def test_invalid_settings_are_rejected(make, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make("permutations", **wrong)
