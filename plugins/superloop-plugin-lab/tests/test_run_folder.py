import json
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from superloop_plugin_lab.evaluation import open_run
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import train
from tensorboard.compat.proto.event_pb2 import Event
from tensorflow import data, make_ndarray

from superloop_core import ConfigError, load_model
from superloop_core.config import read_config
from superloop_core.registry import load_registry

pytestmark = pytest.mark.slow

TRAINED = ("train_loss", "train_accuracy", "learning_rate", "validation_loss", "validation_accuracy")
NUMBERS = (*TRAINED, "test_loss", "test_accuracy", "step", "steps", "best_step")


def metrics(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def numbers(folder):
    return [{name: line[name] for name in NUMBERS if name in line} for line in metrics(folder)]


def weights(model, path):
    model.load_weights(path)
    return model.get_weights()


def test_a_run_folder_holds_its_files_and_nothing_half_written(run):
    assert {path.name for path in run.path.iterdir()} == {
        "config.toml",
        "checkpoint.npz",
        "manifest.json",
        "metrics.jsonl",
        "summary.json",
        "tensorboard",
        "model.keras",
        "best.weights.h5",
        "last.weights.h5",
        "traces.png",
    }


def test_the_config_holds_qualified_names_versions_and_every_setting(run):
    config = tomllib.loads(run.config.read_text())
    assert config["task"]["use"] == "superloop-plugin-tasks:last_two_before_nine"
    assert [cell["use"] for cell in config["loop"]["cells"]] == ["superloop-plugin-cells:lstm"]
    assert [system["use"] for system in config["loop"]["systems"]] == ["superloop-plugin-attention:attention"]
    assert config["plugins"].keys() == {
        "superloop-core",
        "superloop-plugin-tasks",
        "superloop-plugin-cells",
        "superloop-plugin-attention",
    }
    assert all(version[0].isdigit() for version in config["plugins"].values())
    assert config["train"]["optimizer"] == "adam"
    assert config["loop"]["systems"][0]["kernel"] == "inverse_square"


def test_the_config_reads_back_equal(run, small):
    assert read_config(run.config, load_registry()) == read_experiment(small).config


def test_training_again_from_the_saved_config_repeats_numbers_and_weights(run, tmp_path):
    again = RunFolder.create(tmp_path / "again", default=tmp_path)
    experiment = read_experiment(run.config)
    train(experiment, again)
    assert numbers(again) == numbers(run)
    for name in ("best", "last"):
        for one, other in zip(
            weights(experiment.model, again.weights(name)),
            weights(experiment.model, run.weights(name)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_the_metrics_follow_the_steps_and_end_with_the_final_figures(run):
    lines = metrics(run)
    assert [line["step"] for line in lines if "train_loss" in line] == [2, 4, 6, 7]
    assert [line["step"] for line in lines if "validation_loss" in line] == [0, 3, 6, 7]
    final = lines[-1]
    assert final.keys() == {"final", "test_accuracy", "test_loss", "steps", "seconds", "best_step"}
    assert final["final"] is True
    assert final["steps"] == 7
    assert 0 <= final["test_accuracy"] <= 1
    assert final["test_loss"] > 0
    assert final["seconds"] > 0


def test_the_saved_model_repeats_the_final_figures(run):
    experiment = read_experiment(run.config)
    batch = experiment.task.sample(experiment.generator("final"), 256)
    positions = load_model(run.path).predict_on_batch(batch.inputs)["tape.position"]
    distance = positions[:, -1, 0] - batch.targets
    final = metrics(run)[-1]
    assert final["test_accuracy"] == np.mean(np.abs(distance) < 0.5)
    np.testing.assert_allclose(final["test_loss"], np.mean(distance**2), rtol=1e-5)


def test_tensorboard_holds_the_same_figures(run):
    written = {}
    for record in data.TFRecordDataset([str(path) for path in run.tensorboard.iterdir()]):
        event = Event.FromString(record.numpy())
        for value in event.summary.value:
            written[value.tag, event.step] = float(make_ndarray(value.tensor))
    expected = {
        (name, line["step"]): line[name] for line in metrics(run)[:-1] for name in TRAINED if name in line
    }
    assert written.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(written[key], value, rtol=1e-6)


def test_the_model_predicts_the_same_in_another_process(run, tmp_path):
    experiment = open_run(run.path)
    batch = experiment.task.sample(np.random.default_rng(0), 5)
    np.save(tmp_path / "data.npy", batch.inputs["tape_data"])
    code = """
import sys
import numpy as np
import superloop_core

model = superloop_core.load_model(sys.argv[1])
results = model.predict_on_batch({"tape_data": np.load(sys.argv[2])})
np.savez(sys.argv[3], **results)
"""
    subprocess.run(
        [sys.executable, "-c", code, run.path, tmp_path / "data.npy", tmp_path / "results.npz"], check=True
    )
    expected = experiment.model.predict_on_batch(dict(batch.inputs))
    with np.load(tmp_path / "results.npz") as results:
        assert set(results) == set(expected) == {"outputs", "tape.position"}
        for name, array in expected.items():
            np.testing.assert_allclose(results[name], array, rtol=1e-6, atol=1e-6)


def test_the_model_holds_the_best_weights(run):
    experiment = read_experiment(run.config)
    best = weights(experiment.model, run.weights("best"))
    for one, other in zip(load_model(run.path).get_weights(), best, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_default_folder_that_exists_is_numbered(tmp_path):
    made = [RunFolder.create(None, default=tmp_path / "runs/a").path for _ in range(3)]
    assert [path.name for path in made] == ["a", "a-2", "a-3"]
    assert all(path.is_dir() for path in made)


def test_a_given_folder_may_exist_if_it_is_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    assert RunFolder.create(tmp_path / "empty", default=tmp_path).path == tmp_path / "empty"


def test_a_given_folder_that_is_not_empty_is_rejected_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is not empty; choose another folder"):
        RunFolder.create(tmp_path, default=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_below_a_file_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be created"):
        RunFolder.create(tmp_path / "file/run", default=tmp_path)
