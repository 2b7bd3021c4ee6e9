import json
from pathlib import Path

import numpy as np
import pytest
from superloop_plugin_lab import training
from superloop_plugin_lab.checkpoint import variables_of
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.evaluation import evaluate_run, open_run
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.measurement import Measurement, measure
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import train

EXAMPLES = Path(__file__).parents[3] / "docs/examples"


def metrics(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def weights(experiment, folder, name):
    experiment.model.load_weights(folder.weights(name))
    return experiment.model.get_weights()


def assert_equal(weights, others):
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_lowers_the_loss(small, folder):
    experiment = read_experiment(
        small, ["train.steps=60", "train.evaluate_every=60", "train.learning_rate=0.03"]
    )
    outcome = train(experiment, folder)
    first, last = (line["validation_loss"] for line in metrics(folder) if "validation_loss" in line)
    assert last < first / 2
    assert outcome.steps == outcome.best_step == 60
    assert not outcome.interrupted


def test_the_seed_decides_the_weights_and_the_sequences(small, tmp_path):
    figures = []
    for index, seed in enumerate((3, 3, 4)):
        folder = RunFolder.create(tmp_path / str(index), default=tmp_path)
        train(read_experiment(small, [f"train.seed={seed}", "train.steps=2"]), folder)
        figures.append([{k: v for k, v in line.items() if k != "seconds"} for line in metrics(folder)])
    assert figures[0] == figures[1]
    assert all(one != other for one, other in zip(figures[0], figures[2], strict=True))


def test_the_best_weights_are_those_of_the_highest_accuracy_then_of_the_lowest_loss(
    small, folder, monkeypatch
):
    script = iter([(0.1, 9.0), (0.8, 5.0), (0.8, 4.0), (0.8, 6.0), (0.3, 1.0), (0.7, 2.0)])
    weights_measured = []

    def measured(experiment, batches, workers):
        weights_measured.append(experiment.model.get_weights())
        accuracy, loss = next(script)
        return Measurement(loss=loss, accuracy=accuracy)

    monkeypatch.setattr(training, "measure", measured)
    experiment = read_experiment(small, ["train.steps=4", "train.evaluate_every=1"])
    outcome = train(experiment, folder)
    assert outcome.best_step == 2
    assert_equal(experiment.model.get_weights(), weights_measured[2])
    assert_equal(weights_measured[-1], weights_measured[2])  # the final figures are of the best weights
    assert_equal(weights(experiment, folder, "best"), weights_measured[2])
    assert_equal(weights(experiment, folder, "last"), weights_measured[4])


def test_the_averages_are_measured_and_saved_and_training_goes_on_with_the_weights(
    small, folder, monkeypatch
):
    measured = []

    def noted(experiment, *others):
        measured.append(variables_of(experiment.model))
        return measure(experiment, *others)

    monkeypatch.setattr(training, "measure", noted)
    settings = ["train.ema=0.9", "train.best=loss", "train.evaluate_every=7", "train.learning_rate=0.03"]
    experiment = read_experiment(small, settings)
    assert train(experiment, folder).best_step == 7
    weights(experiment, folder, "last")  # loads them
    checkpoint, last = folder.read_checkpoint(), variables_of(experiment.model)
    assert any((one != other).any() for one, other in zip(last, checkpoint.variables, strict=True))
    assert_equal(last, checkpoint.best)
    trained = {array.tobytes() for array in checkpoint.optimizer}  # the averages are among its variables
    assert all(np.array(variable).tobytes() in trained for variable in experiment.model.trainable_variables)
    assert_equal(measured[1], last)


def poison(at, size=8):
    """NaN in the ``at``-th batch of a size."""
    count = 0

    def act(batch):
        nonlocal count
        count += len(batch.targets) == size
        if len(batch.targets) == size and count == at:
            batch.inputs["tape_data"][1, 2] = np.nan

    return act


def test_a_nan_stops_the_run_and_the_weights_of_the_step_before_are_saved(small, experiment_that, tmp_path):
    folders = [RunFolder.create(tmp_path / name, default=tmp_path) for name in ("failed", "whole")]
    settings = ["train.schedule=constant", "train.evaluate_every=100"]
    with pytest.raises(TrainingError) as error:
        train(experiment_that(poison(at=4), *settings), folders[0])
    assert "step 4: not finite: the task's tape_data" in str(error.value)
    assert f"{folders[0].weights('last')} holds the weights of step 3" in str(error.value)
    assert metrics(folders[0])[-1] == {"step": 4, "failed": "not finite: the task's tape_data"}
    experiment = read_experiment(small, [*settings, "train.steps=3"])
    train(experiment, folders[1])
    saved = weights(experiment, folders[0], "last")
    assert_equal(saved, weights(experiment, folders[1], "last"))
    assert all(np.isfinite(array).all() for array in saved)
    assert next(evaluate_run(folders[0].path, sequences=8)).measured.loss > 0


def test_a_nan_in_the_test_sequences_stops_the_run_and_the_best_weights_are_saved(experiment_that, folder):
    with pytest.raises(TrainingError) as error:
        train(experiment_that(poison(at=3, size=64)), folder)
    assert "step 6: not finite on test sequences: the task's tape_data" in str(error.value)
    assert str(folder.weights("best")) in str(error.value)
    assert metrics(folder)[-1]["failed"].startswith("not finite on test sequences")
    assert next(evaluate_run(folder.path, sequences=8)).measured.loss > 0


def test_an_update_that_would_break_the_weights_is_not_made(small, folder):
    settings = ["train.optimizer=sgd", "train.learning_rate=3e38", "train.clip_norm=1e3"]
    experiment = read_experiment(small, settings)
    before = experiment.model.get_weights()
    with pytest.raises(TrainingError, match="step 1: not finite: the weights after the update"):
        train(experiment, folder)
    assert_equal(weights(experiment, folder, "last"), before)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_config_is_valid_and_takes_two_steps(path, folder):
    settings = [
        "train.steps=2",
        "train.batch_size=4",
        "train.evaluate_on=8",
        "train.final_on=8",
        "train.xla=false",
    ]
    assert train(read_experiment(path, settings), folder).steps == 2
    assert open_run(folder.path).config.tables["train"].steps == 2


def test_there_are_three_example_configs():
    assert len(list(EXAMPLES.glob("*.toml"))) == 3
