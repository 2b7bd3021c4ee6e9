import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from matplotlib.image import imread

from superloop_core.registry.specs import PluginSpec

pytestmark = pytest.mark.slow

SHORT = ("--set", "train.final_on=8", "--set", "train.evaluate_on=8")


def test_train_takes_steps_seed_and_settings_from_the_command_line(superloop, small_file, tmp_path):
    out = tmp_path / "run"
    code, shown, err = superloop(
        "train",
        small_file,
        *("--out", out, "--steps", 2, "--seed", 5, "--set", "loop.cells.lstm.units=3", *SHORT),
    )
    assert code == 0
    config = tomllib.loads((out / "config.toml").read_text())
    assert (config["train"]["steps"], config["train"]["seed"]) == (2, 5)
    assert config["loop"]["cells"][0]["units"] == 3
    final = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert final["steps"] == 2
    assert f"{final['test_accuracy']:.2%} on 8 test sequences" in shown
    assert str(out / "traces.png") in shown
    assert len(imread(out / "traces.png")) > 100
    assert "2/2" in err
    assert "loss" in err
    assert "accuracy" in err


def test_train_names_the_folder_after_the_config_and_its_changes_and_numbers_it_if_it_exists(
    superloop, small_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    name = "small+final_on=8+evaluate_on=8+steps=1"
    (tmp_path / "runs" / name).mkdir(parents=True)
    assert superloop("train", small_file, "--steps", 1, *SHORT)[0] == 0
    assert (tmp_path / f"runs/{name}-2/config.toml").is_file()
    assert not list((tmp_path / "runs" / name).iterdir())


def test_train_rejects_a_folder_that_is_not_empty_and_leaves_it_alone(superloop, small_file, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = superloop("train", small_file, "--out", tmp_path)
    assert code == 2
    assert err == f"superloop: error: --out {tmp_path}: exists and is not empty; choose another folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_train_exits_with_2_on_a_nan_and_names_step_and_tensor(superloop, small_file, tmp_path):
    settings = ("train.optimizer=sgd", "train.learning_rate=3e38", "train.clip_norm=1e3")
    code, _, err = superloop(
        "train", small_file, "--out", tmp_path / "run", *(word for key in settings for word in ("--set", key))
    )
    assert code == 2
    assert "superloop: error: step 1: not finite: the weights after the update;" in err
    assert str(tmp_path / "run/last.weights.h5") in err
    assert "try a lower train.learning_rate" in err
    assert err.endswith(f"superloop resume {tmp_path / 'run'} --set train.learning_rate=3e+37\n")
    assert "Traceback" not in err
    assert superloop("eval", tmp_path / "run", "--sequences", 8)[0] == 0


BAD_CONFIGS = {
    "typo in a key": (
        ["loop.cells.lstm.unit=3"],
        "loop.cells[0] \"lstm\": no setting 'unit'; did you mean 'units'?",
    ),
    "wrong type": (["train.steps=many"], "train: 'steps' must be an integer: 'many' (str)"),
    "negative size": (["loop.cells.lstm.units=-1"], "loop.cells[0] \"lstm\": 'units' must be >= 1: -1"),
    "no steps": (["train.steps=0"], "train: 'steps' must be >= 1: 0"),
    "learning rate of 0": (["train.learning_rate=0"], "train: 'learning_rate' must be > 0: 0"),
    "infinite learning rate": (["train.learning_rate=inf"], "train: 'learning_rate' must be < inf: inf"),
    "huge seed": (["train.seed=4294967296"], "train: 'seed' must be < 4294967296: 4294967296"),
    "unknown choice": (["train.optimizer=adan"], "did you mean 'adam'?"),
    "unknown table": (["tain.steps=3"], "no table [tain]; did you mean 'train'?"),
    "unknown cell": (["loop.cells.lstm.use=lstn"], "loop.cells[0]: no cell 'lstn'; did you mean 'lstm'?"),
    "unknown task": (["task.use=last_two"], "task: no task 'last_two'"),
    "short sequences": (["task.length=1"], "'length' must be >= 2: 1"),
    "no value": (["train"], "'train': an override must read KEY=VALUE"),
    "numbers of another width": (
        ["task.encoding=raw"],
        "task: provides 'tape_data' of shape (4, 1), but the loop takes (any, 10); "
        "set loop.systems.tape.width = 1",
    ),
    "a tape of another length": (
        ["loop.systems.tape.datapoints=9"],
        "task: provides 'tape_data' of shape (4, 10), but the loop takes (9, 10); "
        "set loop.systems.tape.datapoints = 4",
    ),
    "an unknown system": (
        ["task.system=tap"],
        "task: provides no 'tape_data', which the loop needs; it provides 'tap_data'; change",
    ),
    "two problems": (
        ["train.batch_size=0", "task.lenght=3"],
        "did you mean 'length'?\ntrain: 'batch_size' must be",
    ),
}


@pytest.mark.parametrize(("overrides", "message"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_train_rejects_a_bad_config_and_creates_no_folder(
    superloop, small_file, tmp_path, overrides, message
):
    sets = [word for override in overrides for word in ("--set", override)]
    code, out, err = superloop("train", small_file, "--out", tmp_path / "run", *sets)
    assert code == 2
    assert err.startswith("superloop: error: ")
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "run").exists()


BAD_FILES = {
    "missing.toml": (None, "cannot be read: No such file"),
    "broken.toml": ("[loop", "is not valid TOML"),
    "broken.json": ("{", "is not valid JSON"),
    "list.json": ("[]", "must hold a table, not a list"),
    "config.yaml": ("loop: 3", "must be a .toml or a .json file"),
    "empty.toml": ("", "a table [loop] is missing"),
    "untasked.toml": (
        '[loop]\ntimesteps = 3\n[[loop.cells]]\nuse = "gru"\nunits = 2\n'
        '[[loop.systems]]\nuse = "attention"\nwidth = 10\n',
        "the table [task] is missing; add one with use = NAME, one of: adding, ",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_train_rejects_a_file_that_is_not_a_config(superloop, tmp_path, name):
    content, message = BAD_FILES[name]
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    code, _, err = superloop("train", path, "--out", tmp_path / "run")
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_train_rejects_a_second_system_that_the_task_has_no_data_for(superloop, small, tmp_path):
    second = {"id": "second", "use": "attention", "width": 3}
    loop = small["loop"] | {"systems": [*small["loop"]["systems"], second]}
    path = tmp_path / "two.json"
    path.write_text(json.dumps(small | {"loop": loop}))
    code, _, err = superloop("train", path, "--out", tmp_path / "run")
    assert code == 2
    assert "task: provides no 'second_data', which the loop needs; it provides 'tape_data'; change" in err


def test_eval_prints_a_row_for_each_length(superloop, run):
    code, out, _ = superloop("eval", run.path, "--length", 4, "--length", 8, "--sequences", 16)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["length", "timesteps", "sequences", "accuracy", "loss"]
    assert [row[:3] for row in rows[1:]] == [["4", "6", "16"], ["8", "12", "16"]]


def test_eval_prints_one_document_whatever_a_plugin_prints(superloop, run, monkeypatch):
    create = PluginSpec.create

    def noisy(spec, settings):
        print("noise")
        return create(spec, settings)

    monkeypatch.setattr(PluginSpec, "create", noisy)
    code, out, err = superloop("eval", run.path, "--sequences", 8, "--json")
    assert (code, len(json.loads(out))) == (0, 1)
    assert "noise" in err


def test_eval_prints_json_of_the_same_figures(superloop, run):
    code, out, _ = superloop("eval", run.path, "--sequences", 256, "--json")
    assert code == 0
    final = json.loads(run.metrics.read_text().splitlines()[-1])
    assert json.loads(out) == [
        {
            "run": str(run.path),
            "length": 4,
            "trained": [4, 4],
            "timesteps": 6,
            "sequences": 256,
            "loss": final["test_loss"],
            "accuracy": final["test_accuracy"],
        }
    ]


def test_eval_takes_ranges_of_lengths_with_their_ends_and_each_length_once(superloop, run):
    settings = ("--length", 6, "--lengths", "4:8:2", "--lengths", "8:9", "--sequences", 8, "--json")
    code, out, _ = superloop("eval", run.path, *settings)
    assert code == 0
    assert [row["length"] for row in json.loads(out)] == [6, 4, 8, 9]


@pytest.mark.parametrize("lengths", ["8", "8:4", "0:4", "4:8:0", "4:8:2:2", "a:b", "-4:8", ":8"])
def test_eval_rejects_lengths_that_are_not_a_range(superloop, run, lengths):
    code, _, err = superloop("eval", run.path, "--lengths", lengths)
    assert code == 2
    assert "must be START:STOP or START:STOP:STEP of whole numbers from 1" in " ".join(err.split())


def test_eval_of_several_runs_prints_and_draws_each(superloop, run, echo_run, tmp_path):
    plot = tmp_path / "new/plot.png"
    code, out, err = superloop(
        "eval", run.path, echo_run.path, "--lengths", "4:6:2", "--sequences", 8, "--plot", plot
    )
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["run", "length", "timesteps", "sequences", "accuracy", "loss", "echo_accuracy"]
    assert all(row[-1].endswith("%") for row in rows[3:5])
    assert [row[:2] for row in rows[1:5]] == [["small", "4"], ["small", "6"], ["echo", "4"], ["echo", "6"]]
    assert str(plot) in out
    assert imread(plot).min() < 0.5


def test_eval_of_many_lengths_writes_its_table_and_nothing_else(run):
    lengths = [word for length in range(4, 11) for word in ("--length", str(length))]
    done = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", "eval", run.path, "--sequences", "4", *lengths],
        capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 8


def test_eval_rejects_a_length_if_the_task_has_none(superloop, run, tmp_path):
    config = tomllib.loads(run.config.read_text())
    del config["task"]["length"]
    (tmp_path / "config.toml").write_bytes(run.config.read_bytes().replace(b"length = 4\n", b""))
    (tmp_path / "model.keras").write_bytes(run.model.read_bytes())
    code, _, err = superloop("eval", tmp_path, "--length", 8)
    assert code == 2
    assert "its task 'superloop-plugin-tasks:last_two_before_nine' has no setting 'length' to change" in err


@pytest.mark.parametrize("command", [["eval"], ["trace", "--out", "traces.npz"]])
def test_eval_and_trace_reject_a_folder_that_is_not_a_run_folder(superloop, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, _, err = superloop(*command, tmp_path)
    assert code == 2
    assert err == f"superloop: error: {tmp_path}: not a folder that `superloop train` wrote: no config.toml\n"
    assert not list(tmp_path.iterdir())


def test_eval_rejects_an_override_of_the_shapes_of_the_weights(superloop, run):
    code, _, err = superloop("eval", run.path, "--set", "loop.cells.0.units=5")
    assert code == 2
    assert "undo --set loop.cells.0.units=5" in err


def test_trace_prints_the_files_it_wrote(superloop, run_with_registers, tmp_path):
    code, out, _ = superloop("trace", run_with_registers.path, "--out", tmp_path / "a.npz", "--sequences", 2)
    assert code == 0
    assert out.splitlines() == [str(tmp_path / "a.npz"), str(tmp_path / "a.png")]
    with np.load(tmp_path / "a.npz") as traces:
        assert traces["scratch.memory"].shape == (2, 6, 3, 2)
    pixels = imread(tmp_path / "a.png")
    assert pixels.shape[1] > pixels.shape[0] > 500  # two rows of four panels
    assert pixels.min() < 0.3


def test_trace_keeps_the_given_name_and_the_picture_of_the_run(superloop, run, tmp_path):
    for name in ("run.v1", "run.v2"):
        assert superloop("trace", run.path, "--out", tmp_path / name, "--sequences", 1)[0] == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"run.v1.npz", "run.v1.png", "run.v2.npz", "run.v2.png"}
    before = run.picture.read_bytes()
    code, _, err = superloop("trace", run.path, "--out", run.path / "traces.npz")
    assert code == 2
    assert "would replace the run's own" in err
    assert run.picture.read_bytes() == before


def test_eval_warns_of_other_versions_than_in_training(superloop, run, tmp_path):
    for file in (run.config, run.model):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert "warning" not in superloop("eval", tmp_path, "--sequences", 8)[2]
    text = run.config.read_text().replace(
        'superloop-plugin-cells = "0.1.0"', 'superloop-plugin-cells = "0.0.7\\u001b[2J"'
    )
    (tmp_path / "config.toml").write_text(text)
    code, _, err = superloop("eval", tmp_path, "--sequences", 8)
    assert code == 0
    assert r"was trained with superloop-plugin-cells 0.0.7\x1b[2J, but 0.1.0 is installed" in err


def test_a_run_from_the_config_of_a_run_is_named_after_its_folder(superloop, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert superloop("train", run.config, "--steps", 1, *SHORT)[0] == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name == f"{run.path.name}+final_on=8+evaluate_on=8+steps=1"


def test_help_names_the_commands(superloop):
    code, out, _ = superloop("--help")
    assert code == 0
    assert {"train", "eval", "trace"} <= set(out.split())


def test_a_task_that_draws_sequences_predicts_on_no_file(superloop, run, tmp_path):
    (tmp_path / "new.csv").write_text("x\n1\n")
    code, _, err = superloop("predict", run.path, tmp_path / "new.csv")
    assert code == 2
    assert "'superloop-plugin-tasks:last_two_before_nine' cannot predict on new rows" in err
