import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_tasks import FinalDistanceConfig, LastTwoBeforeNineConfig
from superloop_plugin_tasks.last_two_before_nine import FinalDistance, LastTwoBeforeNine

from superloop_core.registry import load_registry

ENCODINGS = ("one_hot", "raw")


def task_of(**changes):
    return LastTwoBeforeNine(LastTwoBeforeNineConfig(**changes))


def numbers_of(batch, source="tape_data"):
    data = batch.inputs[source]
    return data[:, :, 0].astype(int) if data.shape[-1] == 1 else data.argmax(axis=-1)


def last_two_before_nine(numbers):
    """The answer by its definition, one number after the other."""
    answer = None
    for place, number in enumerate(numbers):
        if number == 9:
            return answer
        if number == 2:
            answer = place
    raise AssertionError("there is no 9")


@settings(max_examples=60, deadline=None)
@given(length=st.integers(2, 40), seed=st.integers(0, 2**32 - 1), encoding=st.sampled_from(ENCODINGS))
def test_the_target_is_the_place_of_the_last_2_before_the_9(length, seed, encoding):
    batch = task_of(length=length, encoding=encoding).sample(np.random.default_rng(seed), 20)
    numbers = numbers_of(batch)
    assert numbers.shape == (20, length)
    assert [last_two_before_nine(row) for row in numbers] == batch.targets.tolist()


@settings(max_examples=30, deadline=None)
@given(length=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_there_is_one_9_not_at_the_first_place_and_other_numbers_are_0_to_4(length, seed):
    numbers = numbers_of(task_of(length=length).sample(np.random.default_rng(seed), 20))
    assert ((numbers == 9).sum(axis=1) == 1).all()
    assert (numbers[:, 0] != 9).all()
    assert set(np.unique(numbers)) <= {0, 1, 2, 3, 4, 9}


def test_the_9_is_equally_frequent_at_every_place_but_the_first():
    numbers = numbers_of(task_of(length=6).sample(np.random.default_rng(0), 20_000))
    np.testing.assert_allclose((numbers == 9).mean(axis=0), [0, *[1 / 5] * 5], atol=0.015)


@pytest.mark.parametrize("nine", [1, 2, 5])
def test_the_target_is_equally_frequent_at_every_place_before_the_9(nine):
    batch = task_of(length=6).sample(np.random.default_rng(1), 30_000)
    targets = batch.targets[numbers_of(batch)[:, nine] == 9].astype(int)
    shares = np.bincount(targets, minlength=6) / len(targets)
    np.testing.assert_allclose(shares, [*[1 / nine] * nine, *[0] * (6 - nine)], atol=0.03)


def test_numbers_after_the_9_do_not_depend_on_the_target():
    batch = task_of(length=4).sample(np.random.default_rng(2), 30_000)
    numbers = numbers_of(batch)
    after = numbers[:, 3][numbers[:, 2] == 9]
    np.testing.assert_allclose(np.bincount(after) / len(after), [1 / 5] * 5, atol=0.03)


def test_one_hot_and_raw_encode_the_same_sequences():
    one_hot, raw = (task_of(encoding=name).sample(np.random.default_rng(3), 7) for name in ENCODINGS)
    assert one_hot.inputs["tape_data"].shape == (7, 16, 10)
    assert raw.inputs["tape_data"].shape == (7, 16, 1)
    np.testing.assert_array_equal(one_hot.inputs["tape_data"].sum(axis=-1), 1)
    np.testing.assert_array_equal(numbers_of(one_hot), numbers_of(raw))
    np.testing.assert_array_equal(one_hot.targets, raw.targets)
    assert {array.dtype for batch in (one_hot, raw) for array in (*batch.inputs.values(), batch.targets)} == {
        np.dtype("float32")
    }


def test_the_seed_decides_the_sequences():
    first, same, other = (numbers_of(task_of().sample(np.random.default_rng(seed), 5)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_the_source_and_the_trace_are_named_after_the_system():
    task = task_of(system="finger")
    assert task.traces == ("finger.position",)
    assert list(task.sample(np.random.default_rng(0), 1).inputs) == ["finger_data"]


def test_loss_and_correct_read_the_last_timestep():
    positions = np.zeros((4, 3, 1), "float32")
    positions[:, -1, 0] = [1.0, 2.4, 2.5, 9.0]
    targets = np.array([1, 2, 2, 3], "float32")
    results = {"tape.position": positions}
    np.testing.assert_array_equal(task_of().correct(targets, results), [True, True, False, False])
    expected = np.mean((positions[:, -1, 0] - targets) ** 2)
    np.testing.assert_allclose(task_of().loss(targets, results), expected, rtol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_annotation_shows_the_numbers_and_the_target(encoding):
    task = task_of(length=9, encoding=encoding, system="finger")
    batch = task.sample(np.random.default_rng(6), 3)
    for row in range(3):
        note = task.annotate(batch, row)
        assert note.system == "finger"
        assert [int(slot) for slot in note.slots] == numbers_of(batch, "finger_data")[row].tolist()
        assert note.target == batch.targets[row]
        assert str(note.target) in note.title


def test_the_task_is_found_by_name_and_made_from_its_example():
    record = load_registry().resolve("task", "last_two_before_nine")
    assert record.qualified_name == "superloop-plugin-tasks:last_two_before_nine"
    task = record.spec.create(record.spec.config(**record.spec.example))
    assert task.sample(np.random.default_rng(0), 2).inputs["tape_data"].shape == (2, 8, 10)


@pytest.mark.parametrize("changes", [{"length": 1}, {"length": -3}])
def test_a_sequence_needs_room_for_a_2_and_a_9(changes):
    with pytest.raises(ValueError, match="'length' must be >= 2"):
        LastTwoBeforeNineConfig(**changes)


def test_the_final_distance_is_the_absolute_distance_at_the_last_timestep():
    metric = FinalDistance(FinalDistanceConfig(system="tape"))
    positions = np.array([[[9.0], [2.0]], [[9.0], [5.5]]])  # (batch, timesteps, 1)
    assert metric.traces == ("tape.position",)
    told = metric(np.array([3.0, 4.0]), {"tape.position": positions})
    np.testing.assert_allclose(told, [1.0, 1.5])
