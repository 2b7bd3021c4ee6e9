import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from superloop_plugin_lab.evaluation import evaluate_run, trace_run
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.training import train


def metrics(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def interrupt(*, at, size=8, times=1):
    """Ctrl-C as the ``at``-th batch of a size is drawn."""
    count = 0

    def act(batch):
        nonlocal count
        count += len(batch.targets) == size
        if len(batch.targets) == size and count == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return act


@pytest.mark.parametrize(
    ("when", "steps"),
    [
        (interrupt(at=1, size=64), 0),  # as the untrained model is measured
        (interrupt(at=5), 5),  # in a step
        (interrupt(at=2, size=64), 3),  # as the model is measured, and saved if it is better
        (interrupt(at=7), 7),  # in the last step
        (interrupt(at=1, size=256), 7),  # as the final figures are measured
    ],
)
def test_ctrl_c_ends_a_run_after_the_current_step_and_leaves_a_whole_folder(
    experiment_that, folder, when, steps
):
    outcome = train(experiment_that(when), folder)
    assert outcome.steps == steps
    assert outcome.interrupted == (steps < 7)
    assert metrics(folder)[-1]["final"] is True
    assert metrics(folder)[-2]["step"] == steps
    assert not list(folder.path.glob("new.*"))
    assert next(evaluate_run(folder.path, sequences=256)).measured == outcome.final
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_a_run_at_once_and_leaves_a_usable_folder(experiment_that, folder):
    with pytest.raises(KeyboardInterrupt):
        train(experiment_that(interrupt(at=5, times=2)), folder)
    assert "final" not in metrics(folder)[-1]
    assert next(evaluate_run(folder.path, sequences=8)).measured.loss > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_in_a_thread_leaves_ctrl_c_alone(small, folder):
    outcomes = []
    experiment = read_experiment(small, ["train.steps=1"])
    thread = threading.Thread(target=lambda: outcomes.append(train(experiment, folder)))
    thread.start()
    thread.join()
    assert [outcome.steps for outcome in outcomes] == [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.release)],
)
def test_a_run_that_is_stopped_or_killed_from_outside_can_be_measured_and_drawn(
    small_file, tmp_path, sent, code
):
    command = """
import signal
import sys
from superloop_core.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.argv[0] = "superloop"
main()
"""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "train", small_file, "--out", folder, "--steps", "1000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "COLUMNS": "120"},
    )  # fmt: skip
    log = folder / "metrics.jsonl"
    try:
        while process.poll() is None and not (log.exists() and log.read_text().count('"train_loss"') >= 3):
            time.sleep(0.05)
        process.send_signal(sent)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    if sent == signal.SIGINT:
        assert "(interrupted)" in out
        assert err.strip().startswith("training")  # the bar, and nothing of TensorFlow
        assert len(err.strip().splitlines()) == 1
        assert json.loads(log.read_text().splitlines()[-1])["final"] is True
        assert (folder / "traces.png").is_file()
    assert next(evaluate_run(folder, sequences=8)).sequences == 8
    arrays, picture, _ = trace_run(folder, tmp_path / "traces.npz", sequences=1)
    assert arrays.is_file()
    assert picture.is_file()
