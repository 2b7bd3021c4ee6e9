"""Real workers: processes that connect, train together, die and go on."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from superloop_plugin_lab import read_metrics, read_summary
from superloop_plugin_lab.checkpoint import NESTS, Checkpoint
from superloop_plugin_lab.distributed.launcher import ENDING
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import train

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workers")]

CONFIG = {
    "loop": {
        "cells": [{"use": "lstm", "units": 6, "dropout": 0.2}],
        "systems": [{"id": "memo", "use": "ntm", "slots": 8, "width": 4}],
    },
    "task": {"use": "copy", "length": 4, "min_length": 1, "width": 2},
    "train": {
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "steps": 200,
        "batch_size": 5,
        "checkpoint_every": 10,
        "evaluate_every": 100,
        "evaluate_on": 2100,
        "final_on": 64,
        "xla": False,
    },
}
DEADLINE = 60  # seconds for a worker to notice that another one died


def command(*arguments):
    return [sys.executable, "-m", "superloop_core.cli", *map(str, arguments)]


def superloop(*arguments, **environment):
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "copy.toml"
    path.write_text(tomli_w.dumps(CONFIG))
    return path


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The folder of a run of two workers that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    done = superloop("train", config, "--out", out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "waiting for the others" in done.stderr
    return out


def assert_equal(one, other, what=NESTS):
    one, other = (Checkpoint.load(folder / "checkpoint.npz") for folder in (one, other))
    assert one.step == other.step
    for name in what:
        for mine, theirs in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_two_workers_train_as_one_process(whole, tmp_path):
    """With dropout, sequences of many lengths, and a batch of 5, of which one worker gets 3."""
    alone = RunFolder.create(tmp_path / "alone", default=tmp_path)
    outcome = train(read_experiment(CONFIG, to_train=True), alone)
    one, two = (Checkpoint.load(folder / "checkpoint.npz") for folder in (alone.path, whole))
    assert two.step == outcome.steps == 200
    for mine, theirs in zip(one.variables, two.variables, strict=True):
        assert np.linalg.norm(mine - theirs) <= 1e-6 * max(1.0, np.linalg.norm(mine))
    lines = [[*read_metrics(folder).to_dict("records")] for folder in (alone.path, whole)]
    for mine, theirs in zip(*lines, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            if name != "seconds":
                assert theirs[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name
    assert read_summary(whole)["complete"]


def children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


@pytest.mark.release
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers' processes in /proc")
def test_a_run_whose_worker_is_killed_ends_with_its_name_and_resumes_to_the_same(
    config, whole, tmp_path, index
):
    out = tmp_path / "killed"
    launcher = subprocess.Popen(
        command("train", config, "--out", out, "--workers", 2), stderr=subprocess.PIPE, text=True
    )
    folder = RunFolder(out)
    while not folder.metrics.exists() or len(folder.metrics.read_text().splitlines()) < 4:
        assert launcher.poll() is None, launcher.stderr.read()
        time.sleep(0.02)
    os.kill(int(children(launcher)[index]), signal.SIGKILL)
    began = time.monotonic()
    assert launcher.wait(timeout=DEADLINE) != 0
    assert time.monotonic() - began < DEADLINE
    error = launcher.communicate()[1]
    assert f"worker {index} of 2 was ended by SIGKILL" in error
    if index == 1:  # the chief says so too, and what to do
        assert "worker 1 of 2 (localhost:" in error
        assert f"start all workers again: superloop resume {out} --workers 2" in error
    resumed = superloop("resume", out, "--workers", 2)
    assert resumed.returncode == 0, resumed.stderr
    assert_equal(out, whole)


@pytest.mark.release
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM")
def test_sigterm_ends_all_that_train(config, tmp_path):
    out = tmp_path / "ended"
    run = subprocess.Popen(
        command("train", config, "--out", out, "--workers", 2), stderr=subprocess.PIPE, text=True
    )
    while not (out / "checkpoint.npz").exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    began = time.monotonic()
    run.communicate(timeout=DEADLINE)
    assert time.monotonic() - began < DEADLINE
    assert run.returncode == 128 + signal.SIGTERM


@pytest.mark.release
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers' processes in /proc")
def test_sigterm_ends_a_worker_that_waits_for_another(config, tmp_path):
    """TensorFlow handles SIGTERM while it connects, and does nothing."""
    out = tmp_path / "waiting"
    run = subprocess.Popen(
        command("train", config, "--out", out, "--workers", 2), stderr=subprocess.PIPE, text=True
    )
    while len(workers := [int(one) for one in children(run) if is_worker(one)]) < 2:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    os.kill(workers[1], signal.SIGSTOP)
    while not handles_sigterm(workers[0]):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    began = time.monotonic()
    run.communicate(timeout=DEADLINE)
    assert time.monotonic() - began < 2 * ENDING
    assert run.returncode == 128 + signal.SIGTERM
    assert not out.exists()


@pytest.mark.release
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the worker's process in /proc")
def test_a_signal_ends_a_worker_of_a_cluster_that_waits_for_another(config, tmp_path, ending):
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(2)]}
    tf_config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    run = subprocess.Popen(
        command("train", config, "--out", tmp_path / "waiting"), env={**os.environ, "TF_CONFIG": tf_config}
    )
    while not (workers := [int(one) for one in children(run) if is_worker(one)]):
        assert run.poll() is None
        time.sleep(0.02)
    while not handles_sigterm(workers[0]):
        assert run.poll() is None
        time.sleep(0.1)
    run.send_signal(ending)
    assert run.wait(timeout=2 * ENDING) in (128 + ending, -ending)
    deadline = time.monotonic() + ENDING
    while Path(f"/proc/{workers[0]}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not (tmp_path / "waiting").exists()


@pytest.mark.release
@pytest.mark.skipif(os.name != "posix", reason="Windows has another Ctrl-C")
def test_ctrl_c_on_one_worker_of_a_cluster_stops_all_after_the_same_step(config, tmp_path):
    out, addresses = tmp_path / "run", [f"localhost:{free_port()}" for _ in range(2)]
    workers = []
    for index in range(2):
        tf_config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(tf_config)}
        run = command("train", config, "--out", out, "--set", "train.steps=100_000")
        workers.append(subprocess.Popen(run, stdout=subprocess.PIPE, text=True, env=environment))
    while not (out / "checkpoint.npz").exists():
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.1)
    workers[1].send_signal(signal.SIGINT)
    printed = [worker.communicate(timeout=DEADLINE)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [130, 130]
    assert "(interrupted)" in printed[0]


def is_worker(process):
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return b"superloop_plugin_lab.distributed.process" in command


def handles_sigterm(process):
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return bool(int(lines["SigCgt"], 16) & 1 << (signal.SIGTERM - 1))


def test_a_worker_of_a_cluster_does_not_start_others_and_names_what_it_cannot_use(config, tmp_path):
    told = '{"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 1}}'
    refused = superloop("train", config, "--out", tmp_path / "run", "--workers", 2, TF_CONFIG=told)
    assert refused.returncode == 2
    assert "this process is worker 1 of 2 (localhost:2) already, as TF_CONFIG says" in refused.stderr
    assert not (tmp_path / "run").exists()


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@pytest.mark.release
def test_workers_with_other_configs_are_refused(config, tmp_path):
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    workers = []
    for index in range(2):
        tf_config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        run = command("train", config, "--out", tmp_path / "run", "--set", f"train.learning_rate={index + 1}")
        environment = {**os.environ, "TF_CONFIG": json.dumps(tf_config)}
        workers.append(subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=environment))
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 2]
    for error in errors:
        assert (
            f"need the same config, versions of plugins and files of examples: worker 1 of 2 ({addresses[1]})"
            in error
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.release
def test_tasks_of_slurm_are_workers_and_the_same_command_goes_on(config, tmp_path):
    out, workers = tmp_path / "run", []
    run = command("train", config, "--out", out, "--resume", "--steps", "20")
    for time_of in ("first", "again"):
        for index in range(2):
            slurm = {
                "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_STEP_NODELIST": "localhost",
                "SLURM_STEP_TASKS_PER_NODE": "2",
                "SLURM_PROCID": str(index),
                "SLURMD_NODENAME": "localhost",
                "SLURM_LOCALID": str(index),
            }
            workers.append(
                subprocess.Popen(run, stdout=subprocess.PIPE, text=True, env={**os.environ, **slurm})
            )
        printed = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0]
        expected = "accuracy" if time_of == "first" else f"{out}: the run is complete"
        assert expected in printed[0]
        workers.clear()
    assert read_summary(out)["steps"] == 20
