"""What holds of every task here: lengths, shapes, titles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from superloop_plugin_tasks import FAMILIES, data_tape
from superloop_plugin_tasks.regular import ModularArithmeticConfig, ParityCheckConfig
from superloop_plugin_tasks.sequences import draw_lengths, placed, shortened

from superloop_core import ConfigError

SPECS = {spec.name: spec for family in FAMILIES for spec in family.SPECS}
ON_A_TAPE = [spec.name for spec in data_tape.SPECS]
EVERY = pytest.mark.parametrize("name", SPECS)


def lengths_of(batch):
    return batch.inputs["lengths"]


@EVERY
@hypothesis_settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), times=st.integers(1, 12))
def test_shapes_depend_on_the_settings_only(make, name, seed, rows, times):
    config = make(name).settings
    task = make(name, length=config.shortest + config.step * times)
    told = task.settings
    for longest in (None, told.min_length):
        batch = task.sample(np.random.default_rng(seed), rows, longest)
        assert batch.inputs["inputs"].shape == (rows, told.timesteps, told.input_size)
        assert batch.inputs["inputs"].dtype == "float32"
        assert lengths_of(batch).shape == (rows,)
        assert lengths_of(batch).dtype == "int32"
        if name != "adding":
            classes = name in ON_A_TAPE or (hasattr(told, "alphabet") and name != "dyck")
            bits = () if classes else (told.output_size,)
            assert batch.targets.shape == (rows, told.timesteps, *bits)
            assert batch.targets.dtype == "int32"


@EVERY
def test_every_sequence_has_a_target_and_nothing_follows_it(make, name):
    task = make(name)
    batch = task.sample(np.random.default_rng(0), 200)
    for row, timesteps in enumerate(lengths_of(batch)):
        assert 0 < timesteps <= task.settings.timesteps
        assert not batch.inputs["inputs"][row, timesteps:].any()
        if name != "adding":
            assert (batch.targets[row, timesteps:] == -1).all()
            assert (batch.targets[row, :timesteps] >= 0).any()
    assert len(set(lengths_of(batch))) > 1


@EVERY
def test_a_source_of_the_loop_receives_the_length_of_each_content(make, name):
    task = make(name, length_source="tape_jump")
    without = make(name).sample(np.random.default_rng(3), 50)
    batch = task.sample(np.random.default_rng(3), 50)
    lengths = draw_lengths(np.random.default_rng(3), 50, task.settings)  # the first that is drawn
    np.testing.assert_array_equal(batch.inputs["tape_jump"], lengths)
    assert batch.inputs["tape_jump"].dtype == "float32"
    assert batch.inputs.keys() == {*without.inputs, "tape_jump"}
    np.testing.assert_array_equal(batch.targets, without.targets)


@EVERY
def test_sequences_of_one_length_have_no_input_lengths(make, name):
    fixed = {"min_repeats": 2, "repeats": 2} if name == "repeat_copy" else {}
    config = make(name).settings
    length = config.shortest + 4 * config.step
    task = make(name, length=length, min_length=length, **fixed)
    tape = ["tape_data"] if name in ON_A_TAPE else []
    assert list(task.sample(np.random.default_rng(0), 3).inputs) == ["inputs", *tape]


@EVERY
def test_a_curriculum_can_limit_the_length(make, name):
    task = make(name)
    config = task.settings
    low = config.min_length
    batch = task.sample(np.random.default_rng(0), 500, longest=low + 2 * config.step)
    if name != "repeat_copy":
        assert len(set(lengths_of(batch))) <= 3
    shortest = task.sample(np.random.default_rng(0), 500, longest=low)
    assert lengths_of(shortest).max() <= lengths_of(batch).max() < config.timesteps
    with pytest.raises(ValueError, match=f"longest must be from min_length .{low}. to length"):
        task.sample(np.random.default_rng(0), 1, longest=low - 1)
    with pytest.raises(ValueError, match=f"longest must be .*: {config.length + 1}"):
        task.sample(np.random.default_rng(0), 1, longest=config.length + 1)


@EVERY
def test_titles_are_short(make, name):
    task = make(name)
    batch = task.sample(np.random.default_rng(0), 100)
    for row in range(100):
        note = task.annotate(batch, row)
        assert 2 <= len(note.title) <= 60
        assert note.system == ("tape" if name in ON_A_TAPE else "")


@EVERY
def test_rows_differ(make, name):
    task = make(name, length=39 if name == "modular_arithmetic" else 40)
    batch = task.sample(np.random.default_rng(0), 8)
    if name != "counting":  # which is its lengths
        assert len({row.tobytes() for row in batch.inputs["inputs"]}) >= 6


@EVERY
def test_an_invalid_length_is_rejected(make, name):
    config = make(name).settings
    short = config.shortest - 1
    with pytest.raises(ValueError, match=f"'length' must be >= {config.shortest}: {short}"):
        make(name, length=short)
    longer = config.shortest + 2 * config.step
    with pytest.raises(ValueError, match=rf"'min_length' must be <= length \({config.shortest}\): {longer}"):
        make(name, length=config.shortest, min_length=longer)


def test_a_length_of_the_wrong_parity_is_rejected(make):
    with pytest.raises(ValueError, match="'length' must be odd: 8"):
        make("modular_arithmetic", length=8)
    with pytest.raises(ValueError, match="'min_length' must be even: 3"):
        make("dyck", length=8, min_length=3)


@pytest.mark.parametrize(
    ("config", "longest", "choices"),
    [
        (ParityCheckConfig(min_length=3, length=6), None, [3, 4, 5, 6]),
        (ParityCheckConfig(min_length=3, length=6), 4, [3, 4]),
        (ModularArithmeticConfig(min_length=3, length=9), None, [3, 5, 7, 9]),
        (ModularArithmeticConfig(min_length=3, length=9), 8, [3, 5, 7]),
        (ParityCheckConfig(min_length=6, length=6), None, [6]),
    ],
)
def test_all_lengths_are_equally_frequent(config, longest, choices):
    lengths = draw_lengths(np.random.default_rng(0), 20_000, config, longest)
    found, counts = np.unique(lengths, return_counts=True)
    assert found.tolist() == choices
    np.testing.assert_allclose(counts / 20_000, 1 / len(choices), atol=0.015)


@hypothesis_settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_content_is_placed_from_its_start(data):
    rows, some, timesteps = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
    content = np.arange(rows * some * 2).reshape(rows, some, 2)
    starts = data.draw(st.lists(st.integers(0, timesteps - 1), min_size=rows, max_size=rows))
    counts = [data.draw(st.integers(0, min(some, timesteps - start))) for start in starts]
    put = placed(content, np.array(starts), np.array(counts), timesteps, empty=-1)
    expected = np.full((rows, timesteps, 2), -1)
    for row in range(rows):
        expected[row, starts[row] : starts[row] + counts[row]] = content[row, : counts[row]]
    np.testing.assert_array_equal(put, expected)
    flat = placed(content[:, :, 0], np.array(starts), np.array(counts), timesteps, empty=-1)
    np.testing.assert_array_equal(flat, expected[:, :, 0])


def test_the_middle_of_a_long_text_is_replaced():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 9) == "abc...ijk"


@EVERY
def test_a_loop_with_other_outputs_is_rejected(make, name):
    if name == "adding":
        return
    task = make(name)
    batch = task.sample(np.random.default_rng(0), 2)
    needed = task.settings.output_size
    outputs = np.zeros((2, task.settings.timesteps, needed + 1), "float32")
    assert np.isfinite(task.loss(batch.targets, {"outputs": outputs[..., 1:]}))
    assert task.correct(batch.targets, {"outputs": outputs[..., 1:]}).shape == (2,)
    with pytest.raises(ConfigError, match=f"{needed} outputs: {needed + 1}; set loop.outputs = {needed}"):
        task.loss(batch.targets, {"outputs": outputs})


@pytest.mark.parametrize(
    ("name", "settings", "title"),
    [
        ("reverse_string", {"length": 4}, "reverse bab -> bab"),
        ("copy", {"length": 3, "min_length": 3, "width": 5}, "copy 3 vectors of 5 bits"),
        (
            "repeat_copy",
            {"length": 2, "min_length": 2, "repeats": 7, "min_repeats": 7},
            "copy 2 vectors 7 times",
        ),
        ("associative_recall", {"length": 4, "min_length": 4}, "recall 1 of 4 items of 3 vectors"),
        ("priority_sort", {"length": 5, "min_length": 5, "highest": 2}, "sort 5 vectors, the 2 highest"),
        ("counting", {"length": 3, "min_length": 3, "letters": 3}, "a^3 b^3 c^3"),
        ("dyck", {"length": 2, "brackets": 1}, "()"),
        ("read_out", {"length": 2, "min_length": 2, "symbols": 2}, "read out ba"),
        ("look_up", {"length": 2, "min_length": 2, "keys": 2}, "look up 1 0"),
    ],
)
def test_titles_describe_the_sequence(make, name, settings, title):
    task = make(name, **settings)
    titles = {task.annotate(task.sample(np.random.default_rng(seed), 1), 0).title for seed in range(60)}
    assert title in titles
    assert name in ("reverse_string", *ON_A_TAPE) or len(titles) == 1
