import importlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import tomli_w
from superloop_plugin_lab import SweepConfig
from superloop_plugin_lab.results import read_summary

from superloop_core import ConfigError

optuna = pytest.importorskip("optuna")
Sweep = importlib.import_module("superloop_plugin_lab.sweeping").Sweep

pytestmark = pytest.mark.slow

SEARCH = {"loop.cells.0.units": [2, 3], "train.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}


@pytest.fixture
def swept(small):
    """The small config with a sweep of two trials."""

    def make(*, steps=4, **sweep):
        train = small["train"] | {"steps": steps, "evaluate_every": 2, "final_on": 16}
        return small | {"train": train, "sweep": {"trials": 2, "search": SEARCH, **sweep}}

    return make


def run(tables, out):
    sweep = Sweep.open(tables, (), out)
    return sweep, list(sweep.run())


def states(sweep):
    return [trial.state.name for trial in sweep.study.get_trials()]


@pytest.mark.release
def test_trials_are_run_folders_and_their_number_can_grow_later(swept, tmp_path):
    _, trials = run(swept(), tmp_path / "all")
    for trial in trials:
        folder = tmp_path / f"all/trial-{trial.number}"
        config = json.loads(json.dumps(trial.params))
        assert f"learning_rate = {config['train.learning_rate']}" in (folder / "config.toml").read_text()
        assert f"units = {config['loop.cells.0.units']}" in (folder / "config.toml").read_text()
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        best = read_summary(folder)["best_step"]
        (value,) = (
            line["validation_accuracy"]
            for line in lines
            if line.get("step") == best and "validation_accuracy" in line
        )
        assert trial.value == value
    sweep, more = run(swept(trials=3), tmp_path / "all")
    assert [trial.number for trial in more] == [2]
    _, whole = run(swept(trials=3), tmp_path / "whole")
    assert [trial.params for trial in whole] == [trial.params for trial in sweep.study.get_trials()]


def test_a_grid_tries_each_combination_once_and_seeds_are_averaged(swept, superloop, tmp_path):
    search = {"loop.cells.0.units": [2, 3], "train.optimizer": ["sgd"]}
    tables = swept(sampler="grid", search=search, seeds=2, metric="test_loss", trials=9)
    config = tmp_path / "small.toml"
    config.write_text(tomli_w.dumps(tables))
    code, out, _ = superloop("sweep", config, "--out", tmp_path / "all")
    assert code == 0
    losses = {
        units: sum(read_summary(tmp_path / f"all/trial-{trial}/seed-{seed}")["test_loss"] for seed in (0, 1))
        for trial, units in enumerate((2, 3))
    }
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["trial", "units", "optimizer", "state", "test_loss"]
    order = sorted(losses, key=losses.get)
    assert [row[1:] for row in rows[1:]] == [
        [str(units), "sgd", "complete", f"{losses[units] / 2:.4g}"] for units in order
    ]
    _, out, _ = superloop("compare", tmp_path / "all")
    assert [line.split()[:2] for line in out.splitlines()] == [["units", "runs"], ["2", "2"], ["3", "2"]]


def test_the_pruner_sees_each_measurement_and_ends_a_trial(swept, tmp_path, monkeypatch):
    seen = []

    class Strict(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            seen.append((trial.number, trial.last_step))
            return trial.number == 1

    monkeypatch.setattr(optuna.pruners, "MedianPruner", Strict)
    sweep, _ = run(swept(pruner="median", trials=3), tmp_path / "all")
    assert states(sweep) == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert seen == [(0, 2), (0, 4), (1, 2), (2, 2), (2, 4)]
    assert not (tmp_path / "all/trial-1/summary.json").exists()


def test_settings_that_do_not_fit_fail_and_the_others_go_on(swept, superloop, tmp_path):
    tables = swept(sampler="grid", search={"train.batch_size": [4, 0]})
    config = tmp_path / "small.toml"
    config.write_text(tomli_w.dumps(tables))
    code, out, _ = superloop("sweep", config, "--out", tmp_path / "all")
    assert code == 0
    assert "failed: trial 1: ConfigError: train: 'batch_size' must be >= 1: 0" in out
    assert superloop("sweep", config, "--out", tmp_path / "all")[0] == 0


def command(tables, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(tomli_w.dumps(tables))
    return [sys.executable, "-m", "superloop_core.cli", "sweep", config, "--out", tmp_path / "all"]


@pytest.mark.release
def test_a_sweep_that_was_killed_goes_on_where_it_was(swept, tmp_path):
    tables = swept(steps=200)
    sweep = command(tables, tmp_path)
    process = subprocess.Popen(sweep, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    checkpoint = tmp_path / "all/trial-0/checkpoint.npz"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert states(Sweep.open(tables, (), tmp_path / "all")) == ["RUNNING"]
    before = checkpoint.stat().st_ino
    run_id = json.loads((tmp_path / "all/trial-0/manifest.json").read_text())["run"]
    done = subprocess.run(sweep, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "all/trial-0/manifest.json").read_text())["run"] == run_id
    assert checkpoint.stat().st_ino != before
    opened = Sweep.open(tables, (), tmp_path / "all")
    assert states(opened) == ["COMPLETE", "COMPLETE"]


@pytest.mark.release
def test_two_processes_share_the_trials(swept, tmp_path):
    tables = swept(trials=4)
    sweep = command(tables, tmp_path)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    processes = [subprocess.Popen(sweep, **options) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    ran = [line.split(":")[0] for text in errors for line in text.splitlines() if line.startswith("trial ")]
    assert sorted(line for line in ran if "left alone" not in line) == [f"trial {n}" for n in range(4)]
    assert states(Sweep.open(tables, (), tmp_path / "all")) == ["COMPLETE"] * 4


def test_another_sweep_a_wrong_metric_and_a_wrong_key_are_rejected(swept, tmp_path):
    Sweep.open(swept(), (), tmp_path / "all")
    with pytest.raises(ConfigError, match=r"holds a sweep with train.batch_size = 8, and this one has 4"):
        Sweep.open(swept(), ("train.batch_size=4",), tmp_path / "all")
    with pytest.raises(ConfigError, match="with NAME one of loss, accuracy: 'test_echo'"):
        Sweep.open(swept(metric="test_echo"), (), tmp_path / "new")
    with pytest.raises(ConfigError, match=r"sweep\.search: loop\.cells\[0\] .*no setting 'unit'"):
        Sweep.open(swept(search={"loop.cells.0.unit": [3]}), (), tmp_path / "new")
    with pytest.raises(ConfigError, match=r"'storage' 'sqlite:.* cannot be opened"):
        Sweep.open(swept(storage="sqlite:////nowhere/a.db"), (), tmp_path / "new")


WRONG = {
    "no keys": ({}, "must have a key"),
    "a value": ({"a": 3}, "must be a list, or a range"),
    "an empty list": ({"a": []}, "must hold numbers"),
    "a list of tables": ({"a": [{}]}, "must hold numbers"),
    "no high": ({"a": {"low": 1}}, "must have numbers low <= high"),
    "low above high": ({"a": {"low": 2, "high": 1}}, "must have numbers low <= high"),
    "a typo": ({"a": {"low": 1, "hihg": 2}}, "has hihg; a range has low, high, log and step"),
    "log of 0": ({"a": {"low": 0, "high": 1, "log": True}}, "needs low > 0"),
    "no step": ({"a": {"low": 0, "high": 1, "step": 0}}, "step must be > 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_search_that_cannot_be_made_is_rejected(name):
    search, what = WRONG[name]
    with pytest.raises(ValueError, match=what):
        SweepConfig(search=search)


def test_a_grid_needs_lists():
    with pytest.raises(ValueError, match="the sampler grid needs lists"):
        SweepConfig(search=SEARCH, sampler="grid")


@pytest.mark.parametrize(
    ("train", "sweep", "found"),
    [
        ({}, {}, ("validation_accuracy", "MAXIMIZE")),
        ({"best": "final_distance"}, {}, ("validation_final_distance", "MINIMIZE")),
        ({"best": "final_distance", "best_mode": "max"}, {}, ("validation_final_distance", "MAXIMIZE")),
        ({}, {"metric": "test_final_distance"}, ("test_final_distance", "MINIMIZE")),
        ({}, {"metric": "test_final_distance", "direction": "maximize"}, ("test_final_distance", "MAXIMIZE")),
    ],
)
def test_a_sweep_follows_the_best_figure_and_what_a_metric_says(swept, tmp_path, train, sweep, found):
    tables = swept(**sweep) | {"metrics": [{"use": "final_distance"}]}
    opened = Sweep.open(tables | {"train": tables["train"] | train}, (), tmp_path)
    assert (opened.settings.metric, opened.study.direction.name) == found
