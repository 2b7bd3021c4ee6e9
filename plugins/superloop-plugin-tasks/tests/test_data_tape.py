"""Tasks with a data tape, checked one timestep after the other."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def rows_of(batch):
    """Yield each row's tape, and the inputs and targets of its valid timesteps."""
    timesteps = batch.inputs.get("lengths", [batch.targets.shape[1]] * len(batch.targets))
    rows = zip(batch.inputs["tape_data"], batch.inputs["inputs"], batch.targets, timesteps, strict=True)
    for tape, inputs, targets, count in rows:
        written = [point.tolist() for point in tape if point.any()]
        assert not tape[len(written) :].any(), "the written datapoints come first"
        yield written, inputs[:count].tolist(), targets[:count].tolist()


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 12), symbols=st.integers(2, 6), data=st.data())
def test_read_out_requests_the_tape_in_order_with_pauses(make, seed, length, symbols, data):
    low = data.draw(st.integers(1, length))
    task = make("read_out", length=length, min_length=low, symbols=symbols)
    for tape, inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        assert low <= len(tape) <= length
        assert len(inputs) == 2 * len(tape)
        left = [point.index(1) for point in tape]
        for (asks,), target in zip(inputs, targets, strict=True):
            assert target == (left.pop(0) if asks else -1)
        assert not left


def test_requests_are_equally_frequent_at_every_timestep(make):
    asks = make("read_out", length=3, min_length=3).sample(np.random.default_rng(0), 20_000).inputs["inputs"]
    np.testing.assert_allclose(asks.mean(axis=(0, 2)), [0.5] * 6, atol=0.015)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, length=st.integers(1, 9), more=st.integers(0, 4), symbols=st.integers(2, 6))
def test_look_up_requests_the_symbol_under_a_key(make, seed, length, more, symbols):
    keys = length + more
    task = make("look_up", length=length, keys=keys, symbols=symbols)
    for tape, inputs, targets in rows_of(task.sample(np.random.default_rng(seed), 8)):
        under = {point[:keys].index(1): point[keys:].index(1) for point in tape}
        assert len(under) == len(tape) == len(inputs)
        assert all(sum(point[:keys]) == sum(point[keys:]) == 1 for point in tape)
        assert [under[key.index(1)] for key in inputs] == targets


def test_more_datapoints_than_keys_are_rejected(make):
    with pytest.raises(ValueError, match=r"'keys' must be >= length \(9\), as no key occurs twice: 8"):
        make("look_up", length=9, keys=8)


@pytest.mark.parametrize(("name", "label"), [("read_out", "[a-d]"), ("look_up", "[0-9]+:[a-d]")])
def test_an_annotation_labels_every_slot(make, name, label):
    task = make(name, length=5, system="book")
    batch = task.sample(np.random.default_rng(1), 30)
    notes = [task.annotate(batch, row) for row in range(30)]
    assert {(note.system, len(note.slots)) for note in notes} == {("book", 5)}
    assert all(re.fullmatch(label, slot) for note in notes for slot in note.slots if slot)
    for note, tape in zip(notes, batch.inputs["book_data"], strict=True):
        assert [bool(label) for label in note.slots] == tape.any(axis=-1).tolist()
