import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from superloop_plugin_lab import training
from superloop_plugin_lab.evaluation import evaluate_run, open_run, trace_run
from superloop_plugin_lab.experiment import Measurement, TrainingError, measure, read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.step import compiled_step, new_optimizer
from superloop_plugin_lab.training import train

from superloop_core import ConfigError
from superloop_core.loop.unroll import Unroll

EXAMPLES = Path(__file__).parents[3] / "docs/examples"


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", default=tmp_path)


def metrics(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def weights(experiment, folder, name):
    experiment.model.load_weights(folder.weights(name))
    return experiment.model.get_weights()


def assert_equal(weights, others):
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def step_of(experiment):
    return compiled_step(experiment, new_optimizer(experiment))


def test_training_lowers_the_loss(small, folder):
    experiment = read_experiment(
        small, ["train.steps=60", "train.evaluate_every=60", "train.learning_rate=0.03"]
    )
    outcome = train(experiment, folder)
    first, last = (line["fresh_loss"] for line in metrics(folder) if "fresh_loss" in line)
    assert last < first / 2
    assert outcome.steps == outcome.best_step == 60
    assert not outcome.interrupted


def test_the_seed_decides_the_weights_and_the_sequences(small, tmp_path):
    figures = []
    for index, seed in enumerate((3, 3, 4)):
        folder = RunFolder.create(tmp_path / str(index), default=tmp_path)
        train(read_experiment(small, [f"train.seed={seed}", "train.steps=2"]), folder)
        figures.append([{k: v for k, v in line.items() if k != "seconds"} for line in metrics(folder)])
    assert figures[0] == figures[1]
    assert all(one != other for one, other in zip(figures[0], figures[2], strict=True))


def test_no_two_purposes_share_their_sequences(small):
    experiment = read_experiment(small)
    drawn = [experiment.generator(name).random() for name in ("train", "validation", "final", "picture")]
    assert len(set(drawn)) == 4
    assert experiment.generator("train").random() == drawn[0]


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_every_optimizer_and_schedule_takes_a_step(small, optimizer, schedule):
    experiment = read_experiment(small, [f"train.optimizer={optimizer}", f"train.schedule={schedule}"])
    before = experiment.model.get_weights()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    loss, accuracy, finite = step_of(experiment)(dict(batch.inputs), batch.targets)
    assert finite
    assert 0 <= float(accuracy) <= 1
    assert float(loss) > 0
    assert any(
        (one != other).any() for one, other in zip(before, experiment.model.get_weights(), strict=True)
    )


def test_a_step_of_sgd_moves_by_the_learning_rate_times_the_clipped_norm(small):
    settings = [
        "train.optimizer=sgd",
        "train.schedule=constant",
        "train.learning_rate=0.5",
        "train.clip_norm=0.1",
    ]
    experiment = read_experiment(small, settings)
    before = experiment.model.get_weights()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    step_of(experiment)(dict(batch.inputs), batch.targets)
    moved = [new - old for new, old in zip(experiment.model.get_weights(), before, strict=True)]
    norm = np.sqrt(sum((array.astype("float64") ** 2).sum() for array in moved))
    np.testing.assert_allclose(norm, 0.5 * 0.1, rtol=1e-3)


def test_the_step_compiled_with_xla_takes_the_same_step(small):
    results = []
    for xla in ("true", "false"):
        experiment = read_experiment(small, [f"train.xla={xla}"])
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        loss, *_ = step_of(experiment)(dict(batch.inputs), batch.targets)
        results.append([float(loss), *experiment.model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_loop_of_open_timesteps_is_compiled_with_xla_too(echo, monkeypatch):
    """Its batches are of one shape, so the timesteps are known where the loop is traced."""
    compiled = []
    call = Unroll.__call__

    def noted(self, *arguments, jit_compile=False, **others):
        compiled.append(jit_compile)
        return call(self, *arguments, jit_compile=jit_compile, **others)

    monkeypatch.setattr(Unroll, "__call__", noted)
    results = []
    for xla in ("true", "false"):
        compiled.clear()
        experiment = read_experiment(echo, [f"train.xla={xla}", "loop.timesteps=0"])
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        loss, *_ = step_of(experiment)(dict(batch.inputs), batch.targets)
        measured = measure(experiment, np.random.default_rng(0), 8)
        assert set(compiled) == {xla == "true"}
        results.append([float(loss), measured.loss, *experiment.model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_measurement_weighs_batches_by_their_size(small):
    experiment = read_experiment(small)
    measured = measure(experiment, np.random.default_rng(0), 1100)
    rng, distances = np.random.default_rng(0), []
    for size in (1024, 76):
        batch = experiment.task.sample(rng, size)
        positions = experiment.model.predict_on_batch(dict(batch.inputs))["tape.position"]
        distances.append(positions[:, -1, 0] - batch.targets)
    distance = np.concatenate(distances)
    np.testing.assert_allclose(measured.loss, np.mean(distance**2), rtol=1e-5)
    assert measured.accuracy == np.mean(np.abs(distance) < 0.5)


def test_the_best_weights_are_those_of_the_highest_accuracy_then_of_the_lowest_loss(
    small, folder, monkeypatch
):
    script = iter([(0.1, 9.0), (0.8, 5.0), (0.8, 4.0), (0.8, 6.0), (0.3, 1.0), (0.7, 2.0)])
    seen = []

    def measured(experiment, rng, sequences):
        seen.append(experiment.model.get_weights())
        accuracy, loss = next(script)
        return Measurement(loss=loss, accuracy=accuracy)

    monkeypatch.setattr(training, "measure", measured)
    experiment = read_experiment(small, ["train.steps=4", "train.evaluate_every=1"])
    outcome = train(experiment, folder)
    assert outcome.best_step == 2
    assert_equal(experiment.model.get_weights(), seen[2])
    assert_equal(seen[-1], seen[2])  # the final figures are of the best weights
    assert_equal(weights(experiment, folder, "best"), seen[2])
    assert_equal(weights(experiment, folder, "last"), seen[4])


def poison(at, size=8):
    """NaN in the ``at``-th batch of a size."""
    count = 0

    def act(batch):
        nonlocal count
        count += len(batch.targets) == size
        if len(batch.targets) == size and count == at:
            batch.inputs["tape_data"][1, 2] = np.nan

    return act


def test_a_nan_stops_the_run_and_the_weights_of_the_step_before_are_kept(small, experiment_that, tmp_path):
    folders = [RunFolder.create(tmp_path / name, default=tmp_path) for name in ("failed", "whole")]
    settings = ["train.schedule=constant", "train.evaluate_every=100"]
    with pytest.raises(TrainingError) as error:
        train(experiment_that(poison(at=4), *settings), folders[0])
    assert "step 4: not finite: the task's tape_data" in str(error.value)
    assert f"kept in {folders[0].weights('last')} are those of step 3" in str(error.value)
    assert metrics(folders[0])[-1] == {"step": 4, "failed": "not finite: the task's tape_data"}
    experiment = read_experiment(small, [*settings, "train.steps=3"])
    train(experiment, folders[1])
    kept = weights(experiment, folders[0], "last")
    assert_equal(kept, weights(experiment, folders[1], "last"))
    assert all(np.isfinite(array).all() for array in kept)
    assert next(evaluate_run(folders[0].path, sequences=8)).measured.loss > 0


def test_a_nan_on_the_sequences_measured_on_stops_the_run_and_the_best_weights_are_kept(
    experiment_that, folder
):
    with pytest.raises(TrainingError) as error:
        train(experiment_that(poison(at=3, size=64)), folder)
    assert "step 6: not finite on fresh sequences: the task's tape_data" in str(error.value)
    assert str(folder.weights("best")) in str(error.value)
    assert metrics(folder)[-1]["failed"].startswith("not finite on fresh sequences")
    assert next(evaluate_run(folder.path, sequences=8)).measured.loss > 0


def test_an_update_that_would_break_the_weights_is_not_made(small, folder):
    settings = ["train.optimizer=sgd", "train.learning_rate=3e38", "train.clip_norm=1e3"]
    experiment = read_experiment(small, settings)
    before = experiment.model.get_weights()
    with pytest.raises(TrainingError, match="step 1: not finite: the weights after the update"):
        train(experiment, folder)
    assert_equal(weights(experiment, folder, "last"), before)


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
def test_ctrl_c_ends_a_run_after_the_step_under_way_and_leaves_a_whole_folder(
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


def test_a_second_ctrl_c_ends_a_run_at_once_and_what_was_saved_is_usable(experiment_that, folder):
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


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
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
        while process.poll() is None and not (log.exists() and log.read_text().count('"loss"') >= 3):
            time.sleep(0.05)
        process.send_signal(sent)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    if sent == signal.SIGINT:
        assert "(interrupted)" in out
        assert err.strip().startswith("training")  # the bar, and no word of TensorFlow's
        assert len(err.strip().splitlines()) == 1
        assert json.loads(log.read_text().splitlines()[-1])["final"] is True
        assert (folder / "traces.png").is_file()
    assert next(evaluate_run(folder, sequences=8)).sequences == 8
    arrays, picture, _ = trace_run(folder, tmp_path / "traces.npz", sequences=1)
    assert arrays.is_file()
    assert picture.is_file()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_config_is_valid_and_takes_two_steps(path, folder):
    settings = [
        "train.steps=2",
        "train.batch_size=4",
        "train.evaluate_on=8",
        "train.final_on=8",
        "train.xla=false",
    ]
    assert train(read_experiment(path, settings), folder).steps == 2
    assert open_run(folder.path).config.tables["train"].steps == 2


def test_there_are_three_example_configs():
    assert len(list(EXAMPLES.glob("*.toml"))) == 3


def test_a_task_that_does_not_fit_the_loop_is_refused_with_every_misfit(small):
    systems = [{"id": "one", "use": "attention", "width": 10}, {"id": "tape", "use": "attention", "width": 9}]
    with pytest.raises(ConfigError) as error:
        read_experiment(small | {"loop": small["loop"] | {"systems": systems}})
    missing, misfit = map(str, error.value.problems)
    assert "task: gives no 'one_data', which the loop needs; it gives 'tape_data'; change" in missing
    assert "task: gives 'tape_data' of the shape (4, 10), but the loop takes (any, 9); change" in misfit
