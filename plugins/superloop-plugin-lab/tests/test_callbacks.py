"""Callbacks of plugins: what they are called with, and that none loses a run."""

import json
import types

import pytest
from superloop_plugin_lab import Callback
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.recorder import Recorder
from superloop_plugin_lab.training import train

from superloop_core import RunFolderError, hookimpl
from superloop_core.registry import load_registry, registry_in_use


class Listing(Callback):
    def __init__(self, fails_in=None, error=ZeroDivisionError):
        self.calls, self.fails_in, self.error = [], fails_in, error

    def _note(self, *call):
        self.calls.append(call)
        if self.fails_in == call[0]:
            raise self.error("odd")

    def begin(self, lines):
        self._note("begin", [line["step"] for line in lines])

    def step(self, step, figures):
        self._note("step", step, sorted(figures))

    def evaluation(self, step, figures):
        self._note("evaluation", step, sorted(figures))

    def end(self, figures):
        self._note("end", figures)


@pytest.fixture
def callbacks():
    """Install a plugin for one test; its hook yields what is in the list, and fails where that is None."""
    found = []
    module = types.ModuleType("listing")

    @hookimpl
    def superloop_add_callbacks(config, folder):
        assert config.tables["task"].settings.length == 4
        assert folder.is_dir()
        for callback in found:
            if callback is None:
                raise ZeroDivisionError("odd")
            yield callback

    module.superloop_add_callbacks = superloop_add_callbacks
    with registry_in_use(None):
        load_registry().register(module, distribution="superloop-plugin-listing")
        yield found


def lines_of(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


LOSS = ["learning_rate", "train_accuracy", "train_loss"]
MEASURED = ["validation_accuracy", "validation_loss"]


@pytest.mark.slow
def test_a_callback_has_each_line_once_also_where_the_run_was_resumed(callbacks, small, folder):
    first, second = Listing(), Listing()
    callbacks.append(first)
    config = small | {"train": small["train"] | {"steps": 4}}
    train(read_experiment(config), folder)
    assert first.calls[:-1] == [
        ("begin", []),
        ("evaluation", 0, MEASURED),
        ("step", 2, LOSS),
        ("evaluation", 3, MEASURED),
        ("step", 4, LOSS),
        ("evaluation", 4, MEASURED),
    ]
    (name, figures) = first.calls[-1]
    assert name == "end"
    assert {"final": True, **figures} == lines_of(folder)[-1]

    callbacks[:] = [second]
    experiment = read_experiment(folder.config, ["train.steps=6"])
    with folder.writing():
        start = folder.read_start()
        train(experiment, folder, start)
    assert [call[:2] for call in second.calls[:-1]] == [
        ("begin", [0, 2, 3, 4]),  # the measurement at 4 is not part of the whole run
        ("step", 6),
        ("evaluation", 6),
    ]
    assert [line["step"] for line in lines_of(folder)[:-1]] == [0, 2, 3, 4, 6, 6]


@pytest.mark.parametrize("method", ["begin", "step", "evaluation", "end"])
def test_a_callback_that_fails_is_left_out_and_the_others_go_on(method, callbacks, small, folder, capsys):
    broken, sound = Listing(fails_in=method), Listing()
    callbacks.extend([broken, sound])
    experiment = read_experiment(small)
    with folder.writing():
        folder.begin(experiment.config)
        with Recorder(experiment, folder) as recorder:
            for step in (2, 4):
                recorder.evaluation(step, {"loss": 1.0})
                recorder.step(step, {"loss": 0.5}, 1e-3)
    assert len([call for call in broken.calls if call[0] == method]) == 1
    assert broken.calls[-1][0] == method
    assert [call[0] for call in sound.calls] == ["begin", *["evaluation", "step"] * 2, "end"]
    assert sound.calls[-1] == ("end", None)
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: the callback ")
    assert warning.endswith(
        f"test_callbacks.Listing is left out from now on: its {method} raised ZeroDivisionError: odd"
    )
    assert [line["step"] for line in lines_of(folder)] == [2, 2, 4, 4]
    assert len(list(folder.tensorboard.iterdir())) == 1


def test_a_callback_may_end_the_run_where_its_folder_cannot_be_written(callbacks, small, folder):
    callbacks.append(Listing(fails_in="begin", error=RunFolderError))
    with pytest.raises(RunFolderError, match="odd"):
        train(read_experiment(small), folder)


def test_a_hook_that_fails_is_a_warning_and_the_run_goes_on(callbacks, small, folder):
    callbacks.append(None)
    experiment = read_experiment(small)
    with folder.writing():
        folder.begin(experiment.config)
        with pytest.warns(RuntimeWarning, match="listing is broken: its hook superloop_add_callbacks"):
            recorder = Recorder(experiment, folder).__enter__()
        recorder.step(2, {"loss": 0.5}, 1e-3)
        recorder.__exit__(None, None, None)
    assert [line["step"] for line in lines_of(folder)] == [2]
