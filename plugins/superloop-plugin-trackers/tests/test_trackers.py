"""What a tracker holds of a run, against ``metrics.jsonl``."""

import math
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from superloop_plugin_trackers import MlflowConfig, TrackConfig, TrackioConfig, WandbConfig
from superloop_plugin_trackers.stores.mlflow_store import MlflowStore
from superloop_plugin_trackers.stores.trackio_store import TrackioStore
from superloop_plugin_trackers.tracking import Tracking

from superloop_core.config import read_config
from superloop_core.registry import load_registry
from superloop_core.runs import Manifest

pytestmark = [
    pytest.mark.xdist_group("trackers"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # in MLflow, with SQLAlchemy 2.1
]
slow_mlflow = pytest.param("mlflow", marks=pytest.mark.slow)  # it takes seconds to make a store
slow_wandb = pytest.param("wandb", marks=pytest.mark.slow)
both = pytest.mark.parametrize("reader", [slow_mlflow, "trackio"], indirect=True)
each = pytest.mark.parametrize("reader", [slow_mlflow, "trackio", slow_wandb], indirect=True)


def points_of(lines):
    return {
        (name, line["step"], value)
        for line in lines
        if "step" in line
        for name, value in line.items()
        if name != "step"
    }


def is_of_training(point):
    return point[0].startswith(("train_", "validation_", "learning_rate"))


@pytest.mark.slow
@each
def test_a_tracker_has_each_point_once_also_after_a_resume(
    reader, superloop, config_file, lines_of, tmp_path
):
    folder = reader.folder = tmp_path / "run"
    code, _, err = superloop("train", config_file(reader.settings), "--out", folder)
    assert (code, "left out" in err) == (0, False), err
    (first,) = reader.runs()
    assert {point for point in first["points"] if is_of_training(point)} == points_of(lines_of(folder))

    code, _, err = superloop("resume", folder, "--steps", 6)
    assert (code, "left out" in err) == (0, False), err
    (run,) = reader.runs()
    assert run["id"] == first["id"]
    points = {point: count for point, count in run["points"].items() if is_of_training(point)}
    lines = lines_of(folder)
    assert points == dict.fromkeys(points_of(lines), 1)
    assert {step for _, step, _ in points} == {0, 2, 4, 6}

    final = {name: value for name, value in lines[-1].items() if name != "final"}
    assert {"test_loss", "test_accuracy", "steps", "best_step", "seconds"} <= set(final)
    assert {name: run["summary"][name] for name in final} == final
    assert run["tags"]["superloop.run"] == Manifest.read(folder).run
    assert run["tags"]["superloop.folder"] == str(folder)
    assert run["name"].startswith("run")
    config = tomllib.loads((folder / "config.toml").read_text())
    assert run["parameters"]["loop.cells.0.units"] == "4"
    assert run["parameters"]["task.length"] == "3"
    assert run["parameters"]["plugins.superloop-core"] == config["plugins"]["superloop-core"]
    assert not any(key.startswith("track.") for key in run["parameters"])


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["mlflow"], indirect=True)
def test_mlflow_keeps_a_parameter_and_has_its_new_value_as_a_tag(reader, tracking):
    tracking(reader.settings, []).end({"steps": 0})
    tracking(reader.settings, [], steps=6).end(None)
    (run,) = reader.runs()
    assert run["parameters"]["train.steps"] == "4"
    assert run["tags"]["train.steps"] == "6"
    assert run["tags"]["by"] == "test"
    assert run["status"] == "FAILED"


@pytest.fixture
def tracking(tmp_path):
    """Begins to track the run of a folder, with lines of its metrics."""
    folder = tmp_path / "killed"
    folder.mkdir()
    Manifest(folder=folder).write({}, {})

    def begin(settings, lines, steps=4):
        made = {
            "mlflow": lambda of: MlflowStore(MlflowConfig(**of)),
            "trackio": lambda of: TrackioStore(TrackioConfig(**of)),
        }
        ((tracker, of),) = settings.items()
        callback = Tracking(
            made[tracker](of), SimpleNamespace(to_dict=lambda: {"train": {"steps": steps}}), folder
        )
        callback.begin(lines)
        return callback

    return begin


@both
def test_points_that_a_killed_run_repeats_stay(reader, tracking):
    killed = tracking(reader.settings, [])
    killed.step(2, {"train_loss": 0.5})
    killed.step(4, {"train_loss": 0.25})
    killed._store.close(None)  # trackio's thread has written all
    (first,) = reader.runs()
    resumed = tracking(reader.settings, [{"step": 2, "train_loss": 0.5}])
    resumed.step(4, {"train_loss": 0.25})
    resumed.step(6, {"train_loss": math.nan, "validation_loss": 0.125})
    resumed.end({"steps": 6, "test_loss": 1.0})
    (run,) = reader.runs()
    assert run["id"] == first["id"]
    points = [("train_loss", 2, 0.5), ("train_loss", 4, 0.25), ("validation_loss", 6, 0.125)]
    assert run["points"] == dict.fromkeys([*points, ("test_loss", 6, 1.0), ("steps", 6, 6)], 1)


@both
def test_points_that_a_killed_run_does_not_repeat_are_replaced(reader, tracking):
    killed = tracking(reader.settings, [])
    killed.step(2, {"train_loss": 0.5})
    killed.step(4, {"train_loss": 0.25})
    killed._store.close(None)
    resumed = tracking(reader.settings, [{"step": 2, "train_loss": 0.5}])
    resumed.step(4, {"train_loss": 8.0})
    resumed.end({"steps": 4})
    (run,) = reader.runs()
    points = [("train_loss", 2, 0.5), ("train_loss", 4, 8.0), ("steps", 4, 4)]
    assert run["points"] == dict.fromkeys(points, 1)


@both
def test_points_that_a_kill_lost_are_recorded_when_the_run_is_resumed(reader, tracking):
    tracking(reader.settings, []).end(None)
    lines = [
        {"step": 0, "validation_loss": 1.0},
        {"step": 2, "train_loss": 0.5},
        {"step": 2, "failed": "odd"},
    ]
    tracking(reader.settings, lines).end(None)
    tracking(reader.settings, lines).end(None)
    (run,) = reader.runs()
    assert run["points"] == {("validation_loss", 0, 1.0): 1, ("train_loss", 2, 0.5): 1}


def test_a_tracker_that_fails_ends_no_run(superloop, config_file, lines_of, tmp_path, monkeypatch):
    def fail(store, run):
        raise OSError("no such server")

    monkeypatch.setattr(MlflowStore, "open", fail)
    monkeypatch.setattr("superloop_plugin_trackers.PACKAGES", {})
    code, _, err = superloop("train", config_file({"mlflow": True}), "--out", tmp_path / "run")
    assert code == 0
    assert "Tracking is left out from now on: its begin raised OSError: no such server" in err
    assert lines_of(tmp_path / "run")[-1]["final"]


@pytest.mark.parametrize(
    ("tracker", "package"), [("mlflow", "sqlalchemy"), ("trackio", "trackio"), ("wandb", "wandb")]
)
def test_a_package_that_is_missing_is_an_error_before_a_run_folder_is_written(
    tracker, package, superloop, config_file, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    path = config_file({tracker: True})
    for command in (("train", path, "--out", tmp_path / "run"), ("validate", path)):
        code, out, err = superloop(*command)
        assert code in (1, 2)
        assert f"pip install 'superloop-plugin-trackers[{tracker}]'" in out + err
        assert package in out + err
    assert not (tmp_path / "run").exists()


def test_nothing_is_tracked_unless_the_config_names_it(superloop, config_file, tmp_path, monkeypatch):
    monkeypatch.setattr(Tracking, "begin", lambda tracking, lines: 1 / 0)
    code, _, err = superloop("train", config_file({"wandb": False}), "--out", tmp_path / "run")
    assert (code, "left out" in err) == (0, False), err


def test_a_dry_run_is_not_tracked(superloop, config_file, monkeypatch):
    monkeypatch.setattr(Tracking, "begin", lambda tracking, lines: 1 / 0)
    monkeypatch.setattr("superloop_plugin_trackers.PACKAGES", {})
    code, out, err = superloop("train", config_file({"wandb": True}), "--dry-run")
    assert (code, "left out" in err) == (0, False), err
    assert "two steps" in out


def test_the_readme_has_every_setting_with_its_default():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    short, long = (
        tomllib.loads(block)["track"] for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    )
    assert short == dict.fromkeys(attrs.fields_dict(TrackConfig), True)
    loop = {"inputs": 1, "cells": [{"use": "gru", "units": 2}]}
    read = read_config({"loop": loop, "track": long}, load_registry()).tables["track"]
    assert read == TrackConfig(mlflow=MlflowConfig(), trackio=TrackioConfig(), wandb=WandbConfig())
    for name, settings in long.items():
        assert settings.keys() == attrs.fields_dict(type(getattr(read, name))).keys()
