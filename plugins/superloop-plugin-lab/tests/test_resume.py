import os
import shutil
import signal
import subprocess
import sys
from functools import cache

import attrs
import pytest
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import train

from superloop_core import WeightsError

pytestmark = pytest.mark.slow

LONG = ("train.steps=60", "train.evaluate_every=25", "train.log_every=8")
DROPOUT = ("loop.cells.0.dropout=0.3", "loop.cells.0.recurrent_dropout=0.2")
EVERYTHING = (
    "train.optimizer={name = 'adamw', weight_decay = 0.01}",
    *("train.warmup_steps=10", "train.schedule=linear", "train.accumulate=2", "train.clip_value=0.1"),
    *("train.ema=0.9", "train.dtype=mixed_float16", "train.batch_size=4", "train.checkpoint_every=10"),
)
CURRICULUM = ("curriculum.start=2", "curriculum.steps=40", "train.optimizer=rmsprop", "train.xla=true")


class Interrupted:
    """A task that presses Ctrl-C as its ``at``-th training batch is drawn."""

    def __init__(self, task, at, times):
        self._task, self._at, self._times = task, at, times
        self._sample = task.sample

    def __getattr__(self, name):
        return getattr(self._task, name)

    def sample(self, rng, batch_size, **longest):
        if batch_size == 8:
            self._at -= 1
            for _ in range(self._times if self._at == 0 else 0):
                signal.raise_signal(signal.SIGINT)
        return self._task.sample(rng, batch_size, **longest)


def trained(config, path, *, stop=None, times=1):
    """A run folder; with ``stop``, Ctrl-C is pressed that many times in this step."""
    experiment = read_experiment(config, LONG)
    if stop is not None:
        experiment = attrs.evolve(experiment, task=Interrupted(experiment.task, stop, times))
    folder = RunFolder.create(path, default=path)
    try:
        outcome = train(experiment, folder)
        assert outcome.steps == (stop or 60)
    except KeyboardInterrupt:
        assert times == 2
    return folder


def resumed(folder, *overrides):
    return train(read_experiment(folder.config, overrides), folder, folder.read_checkpoint())


@pytest.fixture(scope="module")
def configs(small, echo):
    """Configs: with dropout; with XLA and a curriculum over many lengths; with what else [train] has."""
    from superloop_core.config.files import apply_overrides

    return {
        "dropout": apply_overrides(small, DROPOUT),
        "curriculum": apply_overrides(echo, CURRICULUM),
        "everything": apply_overrides(small, EVERYTHING),
    }


@pytest.fixture(scope="module")
def whole(configs, tmp_path_factory):
    """Returns the run folder of a config's 60 steps without a stop, trained at the first call."""
    folder = tmp_path_factory.mktemp("whole")
    return cache(lambda name: trained(configs[name], folder / name))


@pytest.fixture(scope="module")
def stopped(configs, tmp_path_factory):
    """The same, stopped in step 30; copy it before use."""
    folder = tmp_path_factory.mktemp("stopped")
    return cache(lambda name: trained(configs[name], folder / name, stop=30))


@pytest.fixture
def copied(stopped, tmp_path):
    def copy(name):
        return RunFolder.open(shutil.copytree(stopped(name).path, tmp_path / name))

    return copy


@pytest.mark.parametrize(
    "name",
    ["everything", *(pytest.param(name, marks=pytest.mark.release) for name in ("dropout", "curriculum"))],
)
def test_thirty_steps_and_thirty_more_equal_sixty_bit_by_bit(whole, copied, name, assert_same, lines_of):
    folder = copied(name)
    assert folder.read_checkpoint().step == 30
    assert lines_of(folder)[-1]["steps"] == 30
    outcome = resumed(folder)
    assert (outcome.steps, outcome.interrupted) == (60, False)
    assert_same(folder, whole(name))


def test_another_process_resumes_bit_by_bit(whole, copied, assert_same):
    folder = copied("dropout")
    done = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", "resume", folder.path],
        capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "60 in" in done.stdout
    folder.picture.unlink()
    assert_same(folder, whole("dropout"))


def test_a_run_that_ended_at_once_resumes_from_its_last_measurement(whole, configs, tmp_path, assert_same):
    folder = trained(configs["dropout"], tmp_path / "run", stop=30, times=2)
    assert folder.read_checkpoint().step == 25
    resumed(folder)
    assert_same(folder, whole("dropout"))


def test_a_run_that_ended_at_once_resumes_from_a_checkpoint_between_measurements(
    whole, configs, tmp_path, assert_same
):
    folder = trained(configs["everything"], tmp_path / "run", stop=24, times=2)
    assert folder.read_checkpoint().step == 20
    resumed(folder)
    assert_same(folder, whole("everything"))


def test_a_resumed_run_can_be_stopped_again(whole, copied, assert_same):
    folder = copied("dropout")
    experiment = read_experiment(folder.config)
    experiment = attrs.evolve(experiment, task=Interrupted(experiment.task, 7, 1))
    assert train(experiment, folder, folder.read_checkpoint()).interrupted
    assert folder.read_checkpoint().step == 37
    resumed(folder)
    assert_same(folder, whole("dropout"))


def test_a_complete_run_is_resumed_only_with_more_steps(superloop, run, tmp_path, lines_of):
    folder = RunFolder.open(shutil.copytree(run.path, tmp_path / "run"))
    code, _, err = superloop("resume", folder.path)
    assert code == 2
    assert "has taken 7 steps, and train.steps = 7; set more with --steps" in err
    code, out, err = superloop("resume", folder.path, "--steps", 11)
    assert code == 0
    assert "11 in" in out
    assert "11/11" in err
    assert [line["step"] for line in lines_of(folder)[:-1]] == [0, 2, 3, 4, 6, 6, 7, 8, 9, 10, 11, 11]


def test_a_failed_run_resumes_with_another_learning_rate(small, tmp_path, assert_same, lines_of):
    folder = RunFolder.create(tmp_path / "run", default=tmp_path)
    sgd = ["train.optimizer=sgd", "train.schedule=constant", "train.clip_norm=1e3"]
    with pytest.raises(TrainingError, match="step 1"):
        train(read_experiment(small, [*sgd, "train.learning_rate=3e38"]), folder)
    outcome = resumed(folder, "train.learning_rate=1e-3")
    assert outcome.steps == 7
    assert not any("failed" in line for line in lines_of(folder))
    calm = RunFolder.create(tmp_path / "calm", default=tmp_path)
    train(read_experiment(small, [*sgd, "train.learning_rate=1e-3"]), calm)
    assert_same(folder, calm)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loop.cells.0.units=5", "the checkpoint holds weights of shapes .* undo --set"),
        ("train.optimizer=sgd", "the checkpoint holds an optimizer of shapes .* undo --set"),
    ],
)
def test_a_checkpoint_of_another_model_is_rejected_and_the_folder_is_left_alone(copied, override, message):
    folder = copied("dropout")
    before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    with pytest.raises(WeightsError, match=message):
        resumed(folder, override)
    assert before == {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}


def test_a_missing_or_broken_checkpoint_is_rejected(superloop, copied):
    folder = copied("dropout")
    folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:1000])
    code, _, err = superloop("resume", folder.path)
    assert code == 2
    assert "checkpoint.npz: has 1,000 bytes, and had" in err
    assert "checkpoint.npz: is not accepted, as it cannot" in superloop("doctor", folder.path, "--accept")[2]
    folder.checkpoint.unlink()
    assert superloop("doctor", folder.path, "--accept")[0] == 0
    code, _, err = superloop("resume", folder.path)
    assert code == 2
    assert "cannot be resumed: no checkpoint.npz" in err
