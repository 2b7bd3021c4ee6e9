"""Languages: what may follow, told by a list of what is open; and how often each word is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_tasks.next_symbol.nesting import Nesting

SEEDS = st.integers(0, 2**32 - 1)


def words_of(task, batch):
    """Read each word, and the sets of symbols that may follow."""
    alphabet = task.settings.alphabet
    lengths = batch.inputs.get("lengths", [task.settings.timesteps] * len(batch.targets))
    for inputs, targets, length in zip(batch.inputs["inputs"], batch.targets, lengths, strict=True):
        assert (inputs[:length].sum(axis=1) == 1).all()
        word = "".join(alphabet[timestep.argmax()] for timestep in inputs[:length])
        yield word, [{s for s, may in zip(alphabet, t, strict=True) if may} for t in targets[:length]]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, half=st.integers(1, 30), brackets=st.integers(1, 30), data=st.data())
def test_brackets_match_and_targets_are_the_brackets_that_may_follow(make, seed, half, brackets, data):
    low = data.draw(st.integers(1, half))
    nest, join = data.draw(st.sampled_from([(0.5, 0.25), (0.01, 0.01), (0.98, 0.01), (0.05, 0.9)]))
    task = make("dyck", length=2 * half, min_length=2 * low, brackets=brackets, nest=nest, join=join)
    openings, closings = task.settings.alphabet[:brackets], task.settings.alphabet[brackets:]
    for word, follows in words_of(task, task.sample(np.random.default_rng(seed), 10)):
        assert 2 * low <= len(word) <= 2 * half
        open_now = []
        for symbol, told in zip(word, follows, strict=True):
            if symbol in openings:
                open_now.append(symbol)
            else:
                assert openings.index(open_now.pop()) == closings.index(symbol)
            assert told == set(openings) | {closings[openings.index(last)] for last in open_now[-1:]}
        assert not open_now


def probabilities(longest, nest, join):
    """How often the grammar gives each word, by its rules alone: iterated until nothing changes."""
    words, made = {""}, {""}
    while made:
        made = {w for w in {f"({a}){b}" for a in words for b in words} if len(w) <= longest} - words
        words |= made
    chances = dict.fromkeys(words, 0.0)
    for _ in range(400):
        chances = {
            word: (1 - nest - join if not word else 0.0)
            + (nest * chances[word[1:-1]] if word[1:-1] in words and word[:1] == "(" else 0.0)
            + join
            * sum(
                chances[word[:i]] * chances[word[i:]]
                for i in range(len(word) + 1)
                if word[:i] in words and word[i:] in words
            )
            for word in words
        }
    return chances


@pytest.mark.parametrize(("nest", "join"), [(0.5, 0.25), (0.2, 0.5), (0.7, 0.05)])
def test_words_have_the_frequencies_of_the_grammar(nest, join):
    chances = {w: c for w, c in probabilities(8, nest, join).items() if len(w) == 8}
    assert len(chances) == 14
    opens = Nesting(8, join, 1 - nest - join).draw(np.random.default_rng(0), np.full(60_000, 8))
    drawn, counts = np.unique(opens, axis=0, return_counts=True)
    found = {"".join(")("[int(o)] for o in row): n / 60_000 for row, n in zip(drawn, counts, strict=True)}
    total = sum(chances.values())
    expected = [chances[word] / total for word in sorted(chances)]
    np.testing.assert_allclose([found.get(word, 0) for word in sorted(chances)], expected, atol=0.008)


@pytest.mark.parametrize(("nest", "join"), [(0.5, 0.25), (0.001, 0.001), (0.001, 0.998), (0.998, 0.001)])
def test_long_words_are_drawn(nest, join):
    opens = Nesting(600, join, 1 - nest - join).draw(np.random.default_rng(0), np.full(20, 600))
    depth = np.where(opens, 1, -1).cumsum(axis=1)
    assert (depth >= 0).all()
    assert (depth[:, -1] == 0).all()


def test_the_probabilities_must_leave_some_for_the_empty_word(make):
    with pytest.raises(ValueError, match="'nest' and 'join' together must be < 1"):
        make("dyck", nest=0.5, join=0.5)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 12), letters=st.integers(2, 5))
def test_counting_targets_are_the_letters_that_continue_some_word(make, seed, length, letters):
    task = make("counting", length=length, letters=letters)
    alphabet = "abcde"[:letters]
    language = ["^" + "".join(letter * n for letter in alphabet) + "$" for n in range(1, 30)]
    batch = task.sample(np.random.default_rng(seed), 6)
    for inputs, targets, timesteps in zip(
        batch.inputs["inputs"], batch.targets, batch.inputs.get("lengths", [1 + letters] * 6), strict=True
    ):
        assert (inputs[:timesteps].sum(axis=1) == 1).all()
        read = "".join((alphabet + "^")[timestep.argmax()] for timestep in inputs[:timesteps])
        assert read + "$" in language
        for t in range(timesteps):
            prefix = read[: t + 1]
            may_follow = {word[t + 1] for word in language if word.startswith(prefix)}
            assert {s for s, may in zip(alphabet + "$", targets[t], strict=True) if may} == may_follow
