import json
import os
import signal
import subprocess
import sys
import time

import attrs
import numpy as np
import pytest
import tomli_w
from superloop_plugin_lab import seeds as module
from superloop_plugin_lab.commands import seed_range
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.seeds import train_seeds
from superloop_plugin_lab.shared_model import SharedModel
from superloop_plugin_lab.training import train

import superloop_core
from superloop_core import ConfigError, System, SystemSettings
from superloop_core.registry import registry

pytestmark = pytest.mark.slow

DROPOUT = ("loop.cells.0.dropout=0.3", "loop.cells.0.recurrent_dropout=0.2")
# Each optimizer has a state that begins with the weights, or that the steps before left.
CASES = {
    "dropout": DROPOUT,
    "averages": ("train.optimizer=schedule_free_adamw", "train.ema=0.5", "train.accumulate=2"),
}


@pytest.mark.release
@pytest.mark.parametrize("case", ["dropout", "averages"])
def test_each_run_equals_the_one_of_its_seed_alone_bit_by_bit(
    small, train_to, tmp_path, capfd, case, assert_same
):
    tables = module.load_dict(small)
    overrides = (*CASES[case], "train.xla=true")
    runs = list(train_seeds(tables, overrides, (3, 5), tmp_path / "all"))
    assert [run.seed for run in runs] == [3, 5]
    assert "anew" not in capfd.readouterr().err
    alone = read_experiment(tables, (*overrides, "train.seed=5")).config.to_dict()
    folder = train_to(alone, tmp_path / "alone")
    of_all = RunFolder.open(tmp_path / "all/seed-5")
    assert_same(of_all, folder)
    assert of_all.config.read_text() == folder.config.read_text()
    assert of_all.picture.read_bytes() == folder.picture.read_bytes()
    first, second = (RunFolder.open(run.path).read_checkpoint().variables for run in runs)
    assert not np.array_equal(first[0], second[0])


def test_runs_that_are_complete_are_kept_and_one_that_was_stopped_is_resumed(
    small, tmp_path, monkeypatch, assert_same
):
    (whole,) = train_seeds(small, (), (1,), tmp_path / "whole")
    out = tmp_path / "all"
    complete, *_ = train_seeds(small, (), (0,), out)
    before = RunFolder.open(complete.path).checkpoint.stat().st_mtime_ns
    experiment = read_experiment(small, ("train.seed=1",))
    sample = experiment.task.sample
    drawn = []

    def stopping(rng, size):
        drawn.append(size)
        if drawn.count(8) == 5:
            raise KeyboardInterrupt
        return sample(rng, size)

    monkeypatch.setattr(experiment.task, "sample", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(experiment, RunFolder.create(out / "seed-1", default=out))
    assert RunFolder.open(out / "seed-1").read_checkpoint().step == 3
    runs = list(train_seeds(small, (), (0, 1), out))
    assert [run.error for run in runs] == ["", ""]
    assert RunFolder.open(complete.path).checkpoint.stat().st_mtime_ns == before
    assert_same(RunFolder.open(out / "seed-1"), RunFolder.open(whole.path))


def test_a_run_that_fails_is_listed_and_the_others_go_on(superloop, small_file, tmp_path, monkeypatch):
    lend = SharedModel.lend

    def failing(shared, other):
        if other.settings.seed == 1:
            raise RuntimeError("a device was lost")
        return lend(shared, other)

    monkeypatch.setattr(SharedModel, "lend", failing)
    code, out, _ = superloop("train", small_file, "--seeds", "0:3", "--steps", 2, "--out", tmp_path / "all")
    assert code == 1
    assert "failed: seed 1: RuntimeError: a device was lost\n2 of 3 runs complete, 1 failed\n" in out
    accuracies = [
        json.loads((tmp_path / f"all/seed-{seed}/summary.json").read_text())["test_accuracy"]
        for seed in (0, 2)
    ]
    (row,) = (line.split() for line in out.splitlines() if line.startswith("test_accuracy"))
    assert row[1:3] == ["2", f"{np.mean(accuracies):.2%}"]
    assert row[3:] == [
        f"{value:.2%}"
        for value in (np.std(accuracies, ddof=1), np.median(accuracies), max(accuracies), min(accuracies))
    ]


@pytest.mark.release
def test_a_command_that_was_killed_is_repeated(small, tmp_path):
    config = tmp_path / "small.toml"
    long = small | {"train": small["train"] | {"steps": 400, "checkpoint_every": 20}}
    config.write_text(tomli_w.dumps(long))
    train = [sys.executable, "-m", "superloop_core.cli", "train", config]
    train = [sys.executable, "-m", "superloop_core.cli", "train", config]
    command = [*train, "--seeds", "0:2", "--out", tmp_path / "all"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while not (tmp_path / "all/seed-1/checkpoint.npz").is_file() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "seed 0" not in done.stderr
    assert "seed 1" in done.stderr
    assert "2 of 2 runs complete" in done.stdout


def test_a_loop_that_draws_constants_is_made_anew_for_each_seed(
    small, tmp_path, monkeypatch, capfd, lines_of
):
    monkeypatch.setattr(registry, "_local", {})

    @attrs.frozen(kw_only=True)
    class EchoConfig(SystemSettings):
        control_size = 2
        output_size = 2

    with registry.registry_in_use(None):

        @superloop_core.register(name="fixed_echo", config=EchoConfig)
        class FixedEcho(System):
            def __init__(self, config, **kwargs):
                super().__init__(config, **kwargs)
                self.constants_drawn = np.random.normal(size=2).astype("float32")

            def initial_state(self, sequence):
                return ()

            def step(self, control, state, constants):
                return control * self.constants_drawn, state, {}

        loop = small["loop"] | {"systems": [*small["loop"]["systems"], {"use": "fixed_echo"}]}
        tables = small | {"loop": loop}
        list(train_seeds(tables, (), (0, 1), tmp_path / "all"))
        alone = RunFolder.create(tmp_path / "alone", default=tmp_path)
        train(read_experiment(tables, ("train.seed=1",)), alone)
    assert "each seed is compiled anew" in capfd.readouterr().err
    assert lines_of(RunFolder.open(tmp_path / "all/seed-1")) == lines_of(alone)


def test_folders_of_another_config_are_rejected_before_a_run(superloop, small_file, run, tmp_path):
    out = tmp_path / "all"
    list(train_seeds(small_file, ("train.steps=1",), (1,), out))
    code, _, err = superloop("train", small_file, "--seeds", "0,1", "--steps", 2, "--out", out)
    assert code == 2
    assert (
        f"{out / 'seed-1'}: holds a run with train.steps = 1, and this one has 2; choose another --out" in err
    )
    assert not (out / "seed-0").exists()
    with pytest.raises(ConfigError, match="is a run folder; choose a folder for"):
        list(train_seeds(small_file, (), (1,), run.path))


def test_the_folders_name_tells_the_changes(superloop, small_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = ("--steps", 1, "--set", "loop.cells.0.units=3")
    assert superloop("train", small_file, "--seeds", "4,", *changes)[0] == 2
    assert superloop("train", small_file, "--seeds", "4", "--seed", 3)[0] == 2
    assert superloop("train", small_file, "--seeds", "4", *changes)[0] == 0
    assert superloop("train", small_file, "--seed", "4", *changes)[0] == 0
    names = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("summary.json")}
    assert names == {"runs/small+units=3+steps=1+seeds/seed-4", "runs/small+units=3+steps=1+seed=4"}


@pytest.mark.parametrize("text", ["3:3", "5:3", "1:2:3", "a", "1,", "-1:3", "0:20000", "0,1:3", ""])
def test_seeds_that_are_no_range_are_rejected(text):
    with pytest.raises(Exception, match=r"must (be|have)"):
        seed_range(None, None, text)
