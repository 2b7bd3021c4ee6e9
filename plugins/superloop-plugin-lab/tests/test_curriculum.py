import json

import pytest
from superloop_plugin_lab import CurriculumConfig
from superloop_plugin_lab.evaluation import evaluate_run
from superloop_plugin_lab.experiment import read_experiment

from superloop_core import ConfigError

GROWTH = {
    "linear": (CurriculumConfig(start=2, steps=8), 10, [2, 3, 4, 5, 6, 7, 8, 9, 10, 10]),
    "slow": (CurriculumConfig(start=1, steps=8), 4, [1, 1, 1, 2, 2, 2, 3, 3, 4, 4]),
    "geometric": (CurriculumConfig(start=2, steps=4, shape="geometric"), 32, [2, 4, 8, 16, 32, 32]),
    "nowhere to grow": (CurriculumConfig(start=7, steps=3, shape="geometric"), 7, [7, 7, 7, 7, 7]),
}


@pytest.mark.parametrize(("curriculum", "length", "longest"), GROWTH.values(), ids=GROWTH)
def test_the_longest_length_grows_from_the_start_to_the_tasks(curriculum, length, longest):
    assert [curriculum.longest(step, length) for step in range(len(longest))] == longest


@pytest.fixture(scope="module")
def taught(echo, train_to, tmp_path_factory):
    """A run folder of the echo with a curriculum, of 7 steps."""
    config = echo | {"curriculum": {"start": 2, "steps": 4}}
    return train_to(config, tmp_path_factory.mktemp("runs") / "taught")


def test_a_batch_has_no_longer_sequences_than_its_step_allows(echo):
    experiment = read_experiment(echo, ["curriculum.start=2", "curriculum.steps=4", "train.batch_size=200"])
    task, rng = experiment.task, experiment.generator("train")
    for step, longest in enumerate([2, 3, 4, 5, 6, 6]):
        batch = experiment.training_batch(rng, step)
        assert set(task.drawn.tolist()) == set(range(2, longest + 1))
        assert batch.inputs["inputs"].shape == (200, 6, 3)  # of one shape, for which a step is compiled once


def test_metrics_tell_the_longest_length_at_each_line(taught):
    lines = [json.loads(line) for line in taught.metrics.read_text().splitlines()]
    assert {line["step"]: line["longest"] for line in lines[:-1]} == {0: 2, 2: 4, 3: 5, 4: 6, 6: 6, 7: 6}


def test_what_is_measured_is_of_all_lengths(taught):
    (row,) = evaluate_run(taught.path, sequences=256)
    final = json.loads(taught.metrics.read_text().splitlines()[-1])
    assert (row.measured.loss, row.trained) == (final["loss"], (2, 6))
    (longer,) = evaluate_run(taught.path, [9], sequences=8)
    assert longer.length == 9


REFUSED = {
    "a sample that takes no longest": (
        ["task.use=old_echo"],
        r"curriculum: needs a task with a setting 'length', and a 'sample' that takes 'longest', which "
        "'superloop-lab-echo:old_echo' has not; leave the table out",
    ),
    "a start beyond the end": (
        ["curriculum.start=7"],
        r"curriculum: 'start' must be <= the task's length \(6\): 7",
    ),
    "a start before the shortest": (
        ["curriculum.start=1"],
        r"curriculum: 'start' must be >= the task's min_length \(2\): 1",
    ),
    "no steps": (["curriculum.steps=0"], r"curriculum: 'steps' must be >= 1: 0"),
    "no shape": (["curriculum.shape=cubic"], r"curriculum: 'shape' must be one of .*: 'cubic'"),
}


@pytest.mark.parametrize(("overrides", "message"), REFUSED.values(), ids=REFUSED)
def test_a_curriculum_that_cannot_be_followed_is_refused(echo, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read_experiment(echo, ["curriculum.start=2", "curriculum.steps=4", *overrides])


def test_a_curriculum_must_say_its_steps(echo):
    with pytest.raises(ConfigError, match=r"curriculum: .*'steps'"):
        read_experiment(echo | {"curriculum": {"start": 2}})
