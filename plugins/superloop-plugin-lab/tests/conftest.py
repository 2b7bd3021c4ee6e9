import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from importlib.metadata import entry_points

import attrs
import numpy as np
import pytest
import tomli_w

from superloop_core import Batch
from superloop_core.registry import Registry, registry_in_use

CONFIG = {
    "loop": {
        "timesteps": 6,
        "cells": [{"use": "lstm", "units": 4}],
        "systems": [{"id": "tape", "use": "attention", "width": 10}],
    },
    "task": {"use": "last_two_before_nine", "length": 4},
    "train": {
        "steps": 7,
        "batch_size": 8,
        "log_every": 2,
        "evaluate_every": 3,
        "evaluate_on": 64,
        "final_on": 256,
        "xla": False,
    },
}
ECHO = {
    "loop": {"inputs": 3, "outputs": 3, "cells": [{"use": "gru", "units": 4}]},
    "task": {"use": "echo", "length": 6, "min_length": 2},
    "metrics": [{"use": "echo_accuracy"}],
    "train": CONFIG["train"],
}
SCRATCH = {"id": "scratch", "use": "register_memory", "depth": 3, "width": 2}


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works():
    """Ctrl-C works as in a terminal; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def small():
    """A config that trains in a second."""
    return CONFIG


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(tomli_w.dumps(CONFIG))
    return path


@pytest.fixture(scope="session")
def small_with_registers():
    loop = CONFIG["loop"] | {"systems": [SCRATCH, *CONFIG["loop"]["systems"]]}
    return CONFIG | {"loop": loop}


@pytest.fixture(scope="session")
def echo():
    """A config of the task of ``echo.py``, whose sequences have many lengths."""
    spec = importlib.util.spec_from_file_location("superloop_lab_echo", Path(__file__).with_name("echo.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    registry = Registry(entry_points(group="superloop.plugins"))
    registry.register(module, distribution="superloop-lab-echo")
    with registry_in_use(registry):
        yield ECHO
    del sys.modules[spec.name]


@pytest.fixture(scope="session")
def echo_run(echo, train_to, tmp_path_factory):
    """A run folder of the echo; read only."""
    return train_to(echo, tmp_path_factory.mktemp("runs") / "echo")


def trained_folder(config, path):
    from superloop_plugin_lab.experiment import read_experiment
    from superloop_plugin_lab.report import report
    from superloop_plugin_lab.run_folder import RunFolder
    from superloop_plugin_lab.training import train

    experiment = read_experiment(config)
    folder = RunFolder.create(path, default=path)
    report(experiment, folder, train(experiment, folder))
    return folder


@pytest.fixture(scope="session")
def train_to():
    """Trains the model of a config, and returns the run folder at a path."""
    return trained_folder


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run folder of the small config; read only."""
    return trained_folder(CONFIG, tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def run_with_registers(tmp_path_factory, small_with_registers):
    return trained_folder(small_with_registers, tmp_path_factory.mktemp("runs") / "registers")


@pytest.fixture(scope="session")
def lines_of():
    """Reads the lines of a run's metrics, without the seconds."""

    def read(folder):
        lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
        return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]

    return read


@pytest.fixture(scope="session")
def assert_same(lines_of):
    """Compares two runs bit by bit."""

    def compare(folder, other):
        assert lines_of(folder) == lines_of(other)
        ours, theirs = folder.read_checkpoint(), other.read_checkpoint()
        places = [(of.step, of.best_step, of.generator) for of in (ours, theirs)]
        assert places[0] == places[1]
        for name in ("variables", "optimizer", "best"):
            for one, another in zip(getattr(ours, name), getattr(theirs, name), strict=True):
                np.testing.assert_array_equal(one, another)
        files = [sorted(path.name for path in of.path.iterdir()) for of in (folder, other)]
        assert files[0] == files[1]

    return compare


@pytest.fixture
def superloop(monkeypatch, capfd):
    """Runs the command line in this process; returns exit code, stdout and stderr."""
    from superloop_core.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["superloop", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def experiment_that():
    """Makes the small experiment with a task that calls ``act(batch)`` on each new batch."""
    from superloop_plugin_lab.experiment import read_experiment

    class Acting:
        def __init__(self, task, act):
            self._task, self._act = task, act

        def __getattr__(self, name):
            return getattr(self._task, name)

        def sample(self, rng, batch_size):
            batch = self._task.sample(rng, batch_size)
            self._act(batch)
            return batch

    def make(act, *overrides):
        experiment = read_experiment(CONFIG, overrides)
        return attrs.evolve(experiment, task=Acting(experiment.task, act))

    return make


@pytest.fixture
def folder(tmp_path):
    """An empty run folder."""
    from superloop_plugin_lab.run_folder import RunFolder

    return RunFolder.create(tmp_path / "run", default=tmp_path)


class Summing:
    """A task whose target is the sum of a sequence; sequences have several lengths."""

    traces = ()

    def __init__(self, config):
        del config

    def sample(self, rng, batch_size):
        lengths = rng.integers(1, 6, batch_size).astype("int32")
        inputs = rng.normal(size=(batch_size, 5, 1)).astype("float32")
        inputs[np.arange(5) >= lengths[:, None]] = np.nan  # must never be read
        return Batch(inputs=self.feed(inputs, lengths), targets=np.nansum(inputs, axis=1))

    def feed(self, inputs, lengths):
        return {"inputs": inputs, "lengths": lengths}

    def loss(self, targets, results):
        from keras import ops

        return ops.mean((results["outputs"][:, -1] - targets) ** 2)

    def correct(self, targets, results):
        from keras import ops

        return ops.abs(results["outputs"][:, -1, 0] - targets[:, 0]) < 0.1


@pytest.fixture
def summing():
    return Summing


@pytest.fixture
def experiment_of(monkeypatch):
    """Reads an experiment whose task is an instance of a class of the tests."""
    from superloop_plugin_lab.experiment import read_experiment

    from superloop_core import TaskSpec

    def make(task):
        create = TaskSpec.create
        monkeypatch.setattr(
            TaskSpec,
            "create",
            lambda spec, settings: task(settings) if spec.kind == "task" else create(spec, settings),
        )
        loop = {"inputs": 1, "outputs": 1, "cells": [{"use": "gru", "units": 4}]}
        table = {"use": "last_two_before_nine", "length": 4}
        return read_experiment({"loop": loop, "task": table, "train": {"xla": False}})

    return make
