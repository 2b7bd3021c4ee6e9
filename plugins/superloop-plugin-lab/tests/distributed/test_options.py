"""What the commands say of many workers, before any process is started."""

import json
import subprocess
import sys

import pytest
from superloop_plugin_lab.distributed import launcher


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--workers", "2", "--seeds", "0:2"], "--seeds and --dry-run are for one process; leave them out"),
        (["--workers", "2", "--dry-run"], "--seeds and --dry-run are for one process"),
        (["--workers", "0"], "0 is not in the range"),
        (["--devices", "0,0"], "'0,0' must be different numbers of GPUs from 0, such as 0,1"),
        (["--devices", "0,1", "--workers", "3"], "--workers must be the number of --devices, 2"),
        (["--resume"], "--resume needs --out"),
        (["--resume", "--seeds", "0:2", "--out", "runs"], "and neither --seeds"),
    ],
)
def test_options_that_exclude_each_other_are_refused(superloop, small_file, options, rule):
    status, _, error = superloop("train", small_file, *options)
    assert status == 2
    assert rule in error


def test_seeds_are_refused_in_a_worker_of_a_cluster(superloop, small_file, monkeypatch):
    told = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(told))
    status, _, error = superloop("train", small_file, "--seeds", "0:2")
    assert status == 2
    assert "one process, and TF_CONFIG says worker 1 of 2 (b:1)" in " ".join(error.split())


@pytest.fixture
def no_worker(monkeypatch):
    """No worker may be started."""

    def refuse(*_):
        raise AssertionError("a process was started")

    monkeypatch.setattr(launcher, "_start", refuse)


def refusal(done):
    """Return the error of a command; TensorFlow may print others before."""
    status, _, error = done
    assert status == 2
    return error[error.index("superloop: error: ") :]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "[task]\nuse = 'copy'\n[loop]\ncells = [{use = 'lstm', units = 3, unit = 3}]\n",
            "no setting 'unit'",
        ),
        (
            "[task]\nuse = 'copy'\nwidth = 4\n[loop]\ninputs = 3\ncells = [{use = 'lstm', units = 3}]\n",
            "set loop.inputs = 5",
        ),
    ],
    ids=["wrong by itself", "does not fit its task"],
)
def test_a_config_that_train_refuses_starts_no_process_and_has_the_same_error(
    superloop, no_worker, tmp_path, text, rule
):
    config = tmp_path / "copy.toml"
    config.write_text(text)
    alone = refusal(superloop("train", config))
    assert refusal(superloop("train", config, "--workers", 2)) == alone
    assert rule in alone


def test_a_run_that_resume_refuses_starts_no_process_and_has_the_same_error(superloop, no_worker, run):
    alone = refusal(superloop("resume", run.path))
    assert refusal(superloop("resume", run.path, "--workers", 2)) == alone
    assert "has taken 7 steps" in alone


def test_a_worker_of_a_cluster_is_a_process_of_its_own_with_all_cores(superloop, started, run, monkeypatch):
    told = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(told))
    assert superloop("resume", run.path, "--steps", 9)[0] == 0
    ((command, environment),) = started
    assert command[3:] == ["0", "1", "resume", str(run.path), "--steps=9"]
    assert json.loads(environment["TF_CONFIG"]) == told


@pytest.fixture
def started(monkeypatch):
    """The processes that would be started: command and environment."""
    calls = []

    class Started:
        returncode = 0

        args = ()

        def __init__(self, command, env, **streams):
            calls.append((command, env))

        def poll(self):
            return 0

        wait = poll

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def communicate(self, *_, **__):
            return None, None

    monkeypatch.setattr(launcher.subprocess, "Popen", Started)
    assert subprocess.Popen is Started  # the module's own
    return calls


def test_each_device_gets_a_worker_with_the_files_and_changes_of_the_command(superloop, started, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text("from superloop_core import hookimpl\n@hookimpl\ndef superloop_register(): return ()\n")
    config = tmp_path / "copy.toml"
    config.write_text("[task]\nuse = 'copy'\n")
    options = ["--devices", "2,0", "--steps", 3, "--set", "loop.name=a b", "--out", tmp_path / "run"]
    status, _, error = superloop("-p", plugin, "train", config, *options)
    assert status == 0, error
    (command, environment), *workers = started
    changes = ["loop.name=a b", "train.steps=3", "train.epochs=0"]
    assert command[5:] == [f"-p{plugin}", "check-run", str(config), *(f"--set={one}" for one in changes)]
    assert environment["CUDA_VISIBLE_DEVICES"] == "-1"
    assert len(workers) == 2
    for index, (command, environment) in enumerate(workers):
        assert command[:5] == [
            *(sys.executable, "-m", "superloop_plugin_lab.distributed.process"),
            *(str(index), "2"),
        ]
        assert command[5:] == [
            *(f"-p{plugin}", "train", str(config), f"--out={tmp_path / 'run'}", "--steps=3"),
            "--set=loop.name=a b",
        ]
        assert environment["CUDA_VISIBLE_DEVICES"] == "2,0"
        told = json.loads(environment["TF_CONFIG"])
        assert told["task"] == {"type": "worker", "index": index}
        assert len(set(told["cluster"]["worker"])) == 2
