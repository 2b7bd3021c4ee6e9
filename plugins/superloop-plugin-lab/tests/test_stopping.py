import json
import signal

import attrs
import pytest
from superloop_plugin_lab import read_summary, training
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.measurement import Measurement
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.stopping import EarlyStopping
from superloop_plugin_lab.training import train

from superloop_core import ConfigError, WeightsError
from superloop_core.config.files import apply_overrides

STOP = ("early_stopping.patience=2", "train.steps=8", "train.evaluate_every=1")
NO_BETTER = [(4.0, 0.0), (3.0, 0.1), (3.0, 0.2), (3.5, 0.3), (2.0, 0.1), (2.0, 0.4), (2.0, 0.4), (2.0, 0.4)]


@pytest.fixture
def scripted(monkeypatch):
    """Let measurements return given losses and accuracies; those of final figures count too."""

    def script(pairs):
        figures = iter(pairs)

        def measured(*_):
            loss, accuracy = next(figures)
            return Measurement(loss=loss, accuracy=accuracy)

        monkeypatch.setattr(training, "measure", measured)

    return script


def waited(experiment, lines):
    stopping, counts = EarlyStopping(experiment), []
    for line in lines:
        stopping.read([line])
        counts.append(stopping.waited)
    return counts


def test_a_figure_that_is_not_better_by_min_delta_or_not_finite_is_waited_for(small):
    experiment = read_experiment(small, ["early_stopping.patience=9", "early_stopping.min_delta=0.5"])
    losses = (4.0, 3.6, 3.4, None, 3.5, 2.0)
    lines = [{"step": step, "validation_loss": loss} for step, loss in enumerate(losses)]
    assert waited(experiment, lines) == [0, 1, 0, 1, 2, 0]
    old = [{"step": 0, "fresh_loss": 4.0}, {"step": 1, "loss": 9.0}, {"step": 1, "fresh_loss": 4.0}]
    stopping = EarlyStopping(experiment)
    stopping.read(old)
    assert stopping.waited == 1


@pytest.mark.slow
def test_a_run_ends_complete_when_patience_is_over_and_goes_on_with_more(
    superloop, small, train_to, tmp_path, scripted, capfd
):
    scripted(NO_BETTER)
    folder = train_to(apply_overrides(small, STOP), tmp_path / "run")
    assert "stopped early: validation_loss has not improved in 2 measurements" in capfd.readouterr().out
    summary = read_summary(folder.path)
    assert (summary["steps"], summary["complete"], summary["stopped_early"]) == (3, True, True)
    code, _, err = superloop("resume", folder.path)
    assert code == 2
    assert (
        "stopped early at step 3: validation_loss has not improved in 2 measurements; set more than 2" in err
    )
    scripted([(2.0, 0.1), (2.0, 0.4), (2.0, 0.4), (2.0, 0.4), (2.0, 0.4)])
    code, out, err = superloop("resume", folder.path, "--set", "early_stopping.patience=3")
    assert code == 0
    assert "stopped early" in out
    assert read_summary(folder.path)["steps"] == 7
    scripted(NO_BETTER[:4] + [(2.0, 0.1)] + [(2.0, 0.4)] * 4)
    whole = train_to(apply_overrides(small, [*STOP, "early_stopping.patience=3"]), tmp_path / "whole")
    lines = [
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in path.metrics.read_text().splitlines()
        ]
        for path in (folder, whole)
    ]
    assert lines[0] == lines[1]


def test_the_measurement_after_ctrl_c_does_not_count(small, folder, scripted, monkeypatch):
    scripted([(4.0, 0.0), (4.0, 0.0), (1.0, 1.0)])
    overrides = ["early_stopping.patience=1", "train.evaluate_every=4"]
    experiment = read_experiment(small, overrides)
    take = training.Run.take_step

    def interrupted(run, **asked):
        stops = take(run, **asked)
        if run.step == 2:
            signal.raise_signal(signal.SIGINT)
        return stops

    monkeypatch.setattr(training.Run, "take_step", interrupted)
    outcome = train(experiment, folder)
    assert (outcome.interrupted, outcome.stopped, outcome.steps) == (True, "", 2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["early_stopping.metric=los"], "early_stopping: 'metric' must be one of loss, accuracy, final_dist"),
        (["train.best=bits"], "train: 'best' must be one of loss, accuracy, final_distance: 'bits'"),
        (["early_stopping.patience=0"], "early_stopping: 'patience' must be >= 1: 0"),
    ],
)
def test_a_figure_that_is_not_measured_is_refused(small, overrides, message):
    config = small | {"metrics": [{"use": "final_distance"}]}
    with pytest.raises(ConfigError) as refused:
        read_experiment(config, ["early_stopping.patience=2", *overrides], to_train=True)
    assert message in str(refused.value)


def test_a_metric_that_does_not_say_which_way_is_better_needs_a_mode(small):
    experiment = attrs.evolve(read_experiment(small), metrics={"bits": lambda targets, results: targets})
    for mode, sign in (("min", -1.0), ("max", 1.0)):
        settings = attrs.evolve(experiment.settings, best="bits", best_mode=mode)
        assert training.BestWeights.of(attrs.evolve(experiment, settings=settings)).sign == sign
    settings = attrs.evolve(experiment.settings, best="bits")
    with pytest.raises(
        ConfigError, match="'bits' does not say which way is better; set 'best_mode' to max or"
    ):
        training.BestWeights.of(attrs.evolve(experiment, settings=settings))


def test_the_figure_that_decides_the_best_weights_cannot_change_in_a_run(small, folder, scripted):
    scripted([(4.0, 0.5), (3.0, 0.1), (3.5, 0.9), (3.0, 0.1)])
    by_loss = ["train.best=loss", "train.steps=2", "train.evaluate_every=1"]
    assert train(read_experiment(small, by_loss), folder).best_step == 1
    changed = read_experiment(folder.config, ["train.best=accuracy"])
    with pytest.raises(WeightsError, match=r"the best loss, so train.best and .*: 'accuracy'; undo --set"):
        train(changed, folder, folder.read_checkpoint())


@pytest.mark.slow
def test_an_untrained_network_that_measured_best_is_a_warning(
    superloop, small, train_to, tmp_path, scripted, capfd
):
    scripted([(4.0, 0.5), *[(4.0, 0.1)] * 9])
    folder = train_to(small, tmp_path / "run")
    assert "warning: the untrained network measured best, so the figures" in capfd.readouterr().err
    losses = {}
    for weights in ("best", "last"):
        _, out, _ = superloop("eval", folder.path, "--weights", weights, "--sequences", 64, "--json")
        losses[weights] = json.loads(out)[0]["loss"]
    assert losses["best"] != losses["last"]
    RunFolder.open(folder.path).weights("last").unlink()
    assert "last.weights.h5: is missing" in superloop("eval", folder.path, "--weights", "last")[2]
