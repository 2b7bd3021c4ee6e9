"""Runs and measurements that cannot fit in a machine are refused before anything is made."""

import json
import resource
import shutil
import zipfile

import pytest
from superloop_plugin_lab import evaluation
from superloop_plugin_lab.evaluation import evaluate_run

from superloop_core import WeightsError, load_model

MANY = 10**12

TOO_LARGE = {
    "units of 10^6": (["loop.cells.0.units=1000000"], "does not fit in this machine's memory"),
    "units of 10^12": ([f"loop.cells.0.units={MANY}"], "too large to build: its largest number is 1,000,000"),
    "a batch of 10^12": ([f"train.batch_size={MANY}"], f"batch size {MANY:,}); make it, the batch or"),
    "sequences of 10^12": ([f"task.length={MANY}"], "of length 1,000,000,000,000 need at least 8 TB"),
    "timesteps of 10^12": ([f"loop.timesteps={MANY}"], "does not fit in this machine's memory"),
    "a memory 10^9 deep": (
        ['loop.systems.tape={use="register_memory", depth=1000000000, width=10}'],
        "does not fit in this machine's memory",
    ),
    "10,000 cells": (["loop.cells.0.layers=10000"], "'layers' must be <= 100: 10000"),
    "an integer of 70 bits": ([f"loop.cells.0.units={2**70}"], "'units' must be an integer: "),
    "an integer of 5,000 digits": ([f"loop.cells.0.units={'9' * 5000}"], "'units' must be an integer: "),
}  # fmt: skip


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # MB


@pytest.mark.parametrize(("overrides", "error"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_run_that_cannot_fit_is_refused_and_makes_nothing(
    superloop, small_file, tmp_path, monkeypatch, overrides, error
):
    monkeypatch.chdir(tmp_path)
    before = peak()
    code, out, err = superloop("train", small_file, *(f"--set={one}" for one in overrides))
    assert (code, out) == (2, "")
    assert error in err
    assert "Traceback" not in err
    assert len(err) < 2000
    assert not list(tmp_path.iterdir())
    assert peak() < before + 300


def test_a_loop_without_timesteps_is_measured_for_the_longest_sequence_of_its_task(superloop, echo, tmp_path):
    import tomli_w

    config = echo | {"task": echo["task"] | {"length": 600_000}}
    (tmp_path / "echo.toml").write_text(tomli_w.dumps(config))
    code, _, err = superloop(
        "train", tmp_path / "echo.toml", "--out", tmp_path / "run", "--set", "train.batch_size=100000"
    )
    assert code == 2
    assert "(600,000 timesteps, batch size 100,000); make it, the batch or the sequences smaller" in err
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_that_cannot_fit_is_refused_and_left_alone(superloop, run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, _, err = superloop("resume", folder, "--steps", 9, "--set", f"train.batch_size={MANY}")
    assert code == 2
    assert "does not fit in this machine's memory" in err
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--lengths", f"1:{MANY - 1}"], "is too many lengths; at most 10,000; give a larger STEP"),
        (["--lengths", f"{MANY}:{MANY}"], "is too many lengths"),
        (["--lengths", f"1:{'9' * 5000}"], "Invalid value for '--lengths'"),
        (["--length", MANY], "is not in the range 1<=x<=2147483647"),
        (["--length", 2**31 - 1, "--sequences", 10**9], "sequences of length 2,147,483,647 need at least"),
        (["--sequences", MANY], "is not in the range"),
        (["--set", "loop.cells.0.units=1000000"], "its config asks for 16 TB of weights and more"),
        (["--set", f"loop.cells.0.units={2**62}"], "of weights and more; 10 GB are possible"),
    ],
)
def test_eval_refuses_what_cannot_fit(superloop, run, monkeypatch, arguments, error):
    monkeypatch.setattr("superloop_plugin_lab.experiment.machine_memory", lambda: 10**10)
    code, _, err = superloop("eval", run.path, *arguments)
    assert code == 2
    assert error in err
    assert "Traceback" not in err


def test_trace_refuses_a_batch_that_cannot_fit(superloop, run, tmp_path, monkeypatch):
    monkeypatch.setattr("superloop_plugin_lab.experiment.machine_memory", lambda: 10**10)
    code, _, err = superloop("trace", run.path, "--out", tmp_path / "a", "--sequences", 2**31 - 1)
    assert code == 2
    assert "2,147,483,647 sequences of 6 timesteps need at least" in err
    assert not list(tmp_path.iterdir())


def test_eval_and_trace_read_the_weights_of_a_model_and_never_its_config(run, tmp_path):
    (tmp_path / "config.toml").write_bytes(run.config.read_bytes())
    with zipfile.ZipFile(run.model) as old, zipfile.ZipFile(tmp_path / "model.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"no JSON" if name == "config.json" else old.read(name))
    with pytest.raises(WeightsError, match=r"config\.json is not valid JSON"):
        load_model(tmp_path)
    same, other = (next(evaluate_run(path, sequences=32)).measured for path in (run.path, tmp_path))
    assert same == other
    assert json.dumps(same.figures)
    assert not hasattr(evaluation, "load_model")
