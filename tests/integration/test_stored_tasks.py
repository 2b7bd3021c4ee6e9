"""Training on files: a run on stored examples, stopped within an epoch, resumed, and measured."""

import csv
import json
import re
import shutil
import sys

import numpy as np
import pytest
from superloop_plugin_data import EXAMPLES
from superloop_plugin_data.tasks.classification import Classification
from superloop_plugin_lab.experiment import read_experiment

from superloop_core import ConfigError
from superloop_core.cli import main

pytestmark = pytest.mark.slow

CONFIG = """
[loop]
inputs = 1
outputs = 3

[[loop.cells]]
use = "gru"
units = 4
dropout = 0.2

[task]
use = "classification"
data = "waves.csv"
sequence = "wave"
inputs = ["value"]
target = "shape"

[train]
steps = 8
batch_size = 15
evaluate_every = 4
log_every = 1
schedule = "constant"
xla = false
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(EXAMPLES / "waves.csv", tmp_path)
    (tmp_path / "c.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Run a command, which must exit with a status."""

    def command(*arguments, exits=0):
        monkeypatch.setattr(sys, "argv", ["superloop", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        assert (exit.value.code or 0) == exits

    return command


def weights_of(path):
    with np.load(path / "checkpoint.npz") as arrays:
        return {name: array for name, array in arrays.items() if name != "told"}


def test_a_run_that_stops_within_an_epoch_goes_on_at_the_same_example(folder, run):
    run("train", "c.toml", "--out", "whole")
    run("train", "c.toml", "--out", "half", "--steps", 4)  # 48 examples: 3 batches of 15 are an epoch
    told = json.loads(str(np.load("half/checkpoint.npz")["told"]))
    assert told["position"] == [1, 1]
    run("resume", "half", "--steps", 8)
    whole, half = weights_of(folder / "whole"), weights_of(folder / "half")
    assert whole.keys() == half.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, half[name], err_msg=name)


def test_epochs_are_turned_into_steps_and_asked_of_files_only(folder, run, capsys):
    run("train", "c.toml", "--out", "run", "--set", "train.epochs=2")
    text = (folder / "run/config.toml").read_text()
    assert "steps = 6\n" in text  # 48 examples, 15 in a batch
    assert "epochs = 0\n" in text
    assert json.loads((folder / "run/summary.json").read_text())["steps"] == 6
    run(
        "train",
        "c.toml",
        "--set",
        "train.epochs=2",
        "--set",
        "task={use='copy'}",
        "--set",
        "loop.inputs=8",
        exits=2,
    )


def test_runs_of_many_seeds_are_all_on_the_same_files(folder, run, capsys):
    run("train", "c.toml", "--out", "runs", "--steps", 2, "--seeds", "0:1")
    text = (folder / "waves.csv").read_text()
    (folder / "waves.csv").write_text(text.replace("w00,0.", "w00,1."))
    run("train", "c.toml", "--out", "runs", "--steps", 2, "--seeds", "0:2", exits=2)
    assert "seed-0: holds a run on other files of examples" in capsys.readouterr().err
    assert not (folder / "runs/seed-1").exists()


SWEEP = """
[sweep]
trials = 1
search = { "loop.cells.0.units" = [3] }
"""


def test_runs_and_trials_on_other_files_are_told_apart(folder, run, capsys):
    (folder / "s.toml").write_text(CONFIG + SWEEP)
    small = ("--set", "train.steps=1")
    run("sweep", "s.toml", "--out", "sweep", *small)
    text = (folder / "waves.csv").read_text()
    (folder / "waves.csv").write_text(text.replace("w00,0.", "w00,1."))
    run("sweep", "s.toml", "--out", "sweep", "--trials", 2, *small, exits=2)
    assert "sweep: holds a sweep on other files of examples" in capsys.readouterr().err
    run("train", "c.toml", "--out", "other", "--seed", 1, "--set", "loop.cells.0.units=3", *small)
    capsys.readouterr()
    run("compare", "sweep", "other")
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("files")
    assert len(rows) == 2


def test_the_final_figures_are_those_of_the_test_split_and_eval_gives_them_again(folder, run, capsys):
    run("train", "c.toml", "--out", "run")
    assert "on 6 test sequences" in capsys.readouterr().out
    learned = json.loads((folder / "run/task.json").read_text())["learned"]
    assert learned["classes"] == ["sine", "square", "triangle"]
    run("eval", "run", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    final = lines[-1]
    assert row["sequences"] == 6
    assert row["loss"] == final.get("test_loss", final.get("loss"))
    task = (folder / "run/task.json").read_text()
    (folder / "run/task.json").write_text(task.replace("sine", "cosine"))
    for command in ("eval", "resume"):
        run(command, "run", exits=2)
        assert "task.json: has " in capsys.readouterr().err
    (folder / "run/task.json").write_text(task)
    text = (folder / "waves.csv").read_text()
    (folder / "waves.csv").write_text(text.rpartition("0")[0] + "1" + text.rpartition("0")[2])
    run("eval", "run", exits=2)
    assert "waves.csv: is not the file that the run was trained on" in capsys.readouterr().err


def test_predictions_are_the_answers_that_are_measured(folder, run, capsys):
    run("train", "c.toml", "--out", "run")
    accuracy = json.loads((folder / "run/summary.json").read_text())["test_accuracy"]
    capsys.readouterr()
    lines = (folder / "waves.csv").read_text().splitlines()
    (folder / "new.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in lines))
    run("predict", "run", "new.csv")
    text = capsys.readouterr().out
    found = list(csv.DictReader(text.splitlines()))
    true = {line.split(",")[0]: line.split(",")[2] for line in lines}
    task = read_experiment(folder / "c.toml").task
    tested = [found[part.example] for part in task.parts["test"]]
    assert np.mean([row["predicted_shape"] == true[row["wave"]] for row in tested]) == pytest.approx(accuracy)
    (folder / "waves.csv").unlink()  # the run's folder has all that is needed
    run("predict", "run", "new.csv", "--output", "out.csv")
    assert (folder / "out.csv").read_text() == text
    run("predict", "run", "new.csv", "--output", "out.jsonl", "--weights", "last")
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [row["wave"] for row in rows] == [row["wave"] for row in found]
    assert sum(rows[0][f"probability_{name}"] for name in ("sine", "square", "triangle")) == pytest.approx(1)


def test_a_prediction_that_fails_leaves_the_older_file(folder, run, capsys, monkeypatch):
    run("train", "c.toml", "--out", "run", "--steps", 1)
    (folder / "out.csv").write_text("older")
    answers = Classification.answers

    def broken(*arguments):
        yield from answers(*arguments)
        raise ConfigError("broken")

    monkeypatch.setattr(Classification, "answers", broken)
    run("predict", "run", "waves.csv", "--output", "out.csv", exits=2)
    assert (folder / "out.csv").read_text() == "older"
    assert not list(folder.glob(".new-*"))
    for output, error in {
        "out.txt": "must end in .csv or .jsonl",
        "waves.csv": "would replace a file that is needed",
        "run/metrics.jsonl": "would replace a file that is needed",
    }.items():
        capsys.readouterr()
        run("predict", "run", "waves.csv", "--output", output, exits=2)
        assert error in capsys.readouterr().err


def test_a_task_names_the_figure_that_comes_first_and_decides_the_best_weights(folder, run, capsys):
    shutil.copy(EXAMPLES / "tides.csv", folder)
    task = "task={use='forecasting', data='tides.csv', inputs=['level'], window=8}"
    run("train", "c.toml", "--out", "run", "--steps", 2, "--set", task, "--set", "loop.outputs=1")
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:3] == ["loss", "absolute_error", "accuracy"]
    assert 'best = "loss"' in (folder / "run/config.toml").read_text()
    run("eval", "run")
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header == ["timesteps", "sequences", "loss", "absolute_error", "accuracy"]
    run("compare", "run", "--curves", "curves.png")
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header == ["runs", "test_loss", "test_absolute_error", "test_accuracy"]
    summary = json.loads((folder / "run/summary.json").read_text())
    assert summary["higher_is_better"]["test_absolute_error"] is False


def test_examples_are_read_and_encoded_once_in_a_command(folder, run, capsys, monkeypatch):
    calls = []

    def counted(name):
        method = getattr(Classification, name)
        monkeypatch.setattr(Classification, name, lambda *given: (calls.append(name), method(*given))[1])

    counted("raw")
    counted("encode")
    open_sizes = ("--set", "loop={cells=[{use='gru', units=2}]}")
    for command in (
        ("validate", "c.toml", *open_sizes),
        ("train", "c.toml", "--out", "run", "--steps", 1, *open_sizes),
        ("eval", "run"),
        ("resume", "run", "--steps", 2),
    ):
        calls.clear()
        run(*command)
        assert (command[0], calls.count("raw"), calls.count("encode")) == (command[0], 60, 60)
    (folder / "waves.csv").write_text("wave,value,shape\na,1,x\na,1,y\n")
    calls.clear()
    run("validate", "c.toml", *open_sizes, exits=2)
    assert calls == ["raw"]
    assert "waves.csv, line 3: 'shape' must be one class for a sequence" in capsys.readouterr().err


def test_validate_prints_what_the_data_say(folder, run, capsys):
    (folder / "n.txt").write_text("abcab\n" * 40)
    text = CONFIG.replace("inputs = 1\noutputs = 3\n", "").partition("[task]")[0]
    text += "[model]\nembedding = 2\nhead = 'dense'\n[task]\nuse = 'next_token'\ndata = 'n.txt'\nwindow = 0\n"
    (folder / "n.toml").write_text(text)
    run("validate", "n.toml", "--json", "--batch-size", 4)
    found = json.loads(capsys.readouterr().out)
    assert found["facts"]["tokens"] == "4: ['\ufffd', 'a', 'b', 'c']"
    weights = 4 * 2 + 3 * (2 * 4 + 4 * 4 + 2 * 4) + (4 * 4 + 4)  # embedding, GRU, head
    assert found["facts"]["model"].startswith(f"{weights} weights: embedding 8, ")
    assert found["memory"] == {
        "weights": weights * 16, "states": 4 * 4 * (4 + 4) * 4, "timesteps": 4, "batch_size": 4,
    }  # fmt: skip
    lines = (EXAMPLES / "tides.csv").read_text().replace("1,1.131", "1,").splitlines()
    (folder / "tides.csv").write_text("\n".join(lines))
    task = "task={use='forecasting', data='tides.csv', inputs=['level'], window=8, missing='mean'}"
    run("validate", "c.toml", "--json", "--set", task, "--set", "loop.outputs=1")
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts["missing"].startswith("1 of ")
    assert re.fullmatch(r"level -?0\.\d+ \(sd 0\.\d+\)", facts["columns"])
