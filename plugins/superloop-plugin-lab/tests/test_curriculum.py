import json

import pytest
from superloop_plugin_lab import CurriculumConfig
from superloop_plugin_lab.evaluation import evaluate_run
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.feeding import measured_batches
from superloop_plugin_lab.measurement import measure

GROWTH = {
    "linear": (CurriculumConfig(start=2, steps=8), 10, [2, 3, 4, 5, 6, 7, 8, 9, 10, 10]),
    "slow": (CurriculumConfig(start=1, steps=8), 4, [1, 1, 1, 2, 2, 2, 3, 3, 4, 4]),
    "geometric": (CurriculumConfig(start=2, steps=4, shape="geometric"), 32, [2, 4, 8, 16, 32, 32]),
    "no growth": (CurriculumConfig(start=7, steps=3, shape="geometric"), 7, [7, 7, 7, 7, 7]),
}


@pytest.mark.parametrize(("curriculum", "length", "longest"), GROWTH.values(), ids=GROWTH)
def test_the_longest_length_grows_from_the_start_to_the_length_of_the_task(curriculum, length, longest):
    assert [curriculum.longest(step, length) for step in range(len(longest))] == longest


@pytest.fixture(scope="module")
def taught(echo, train_to, tmp_path_factory):
    """A run folder of the echo with a curriculum, of 7 steps."""
    config = echo | {"curriculum": {"start": 2, "steps": 4}}
    return train_to(config, tmp_path_factory.mktemp("runs") / "taught")


def test_a_batch_has_no_sequence_longer_than_its_step_allows(echo):
    experiment = read_experiment(echo, ["curriculum.start=2", "curriculum.steps=4", "train.batch_size=200"])
    task, rng = experiment.task, experiment.generator("train")
    for step, longest in enumerate([2, 3, 4, 5, 6, 6]):
        batch = experiment.training_batch(rng, step)
        assert set(task.drawn.tolist()) == set(range(2, longest + 1))
        assert batch.inputs["inputs"].shape == (200, 6, 3)  # of one shape, for which a step is compiled once


def test_each_line_of_the_metrics_has_the_longest_length_of_its_step(taught):
    lines = [json.loads(line) for line in taught.metrics.read_text().splitlines()]
    assert {line["step"]: line["longest"] for line in lines[:-1]} == {0: 2, 2: 4, 3: 5, 4: 6, 6: 6, 7: 6}


def test_the_best_weights_are_measured_on_all_lengths_from_the_start(echo):
    experiment = read_experiment(echo, ["curriculum.start=2", "curriculum.steps=4"])
    measure(experiment, measured_batches(experiment, "validation", 64))
    assert set(experiment.task.drawn.tolist()) == {2, 3, 4, 5, 6}


def test_test_sequences_have_all_lengths(taught):
    (row,) = evaluate_run(taught.path, sequences=256)
    final = json.loads(taught.metrics.read_text().splitlines()[-1])
    assert (row.measured.loss, row.trained) == (final["test_loss"], (2, 6))
    (longer,) = evaluate_run(taught.path, [9], sequences=8)
    assert longer.length == 9
