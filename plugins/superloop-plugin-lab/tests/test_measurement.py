import warnings

import attrs
import numpy as np
import pytest
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.feeding import measured_batches, rows_at_once
from superloop_plugin_lab.measurement import measure

from superloop_core import ConfigError


def measure_drawn(experiment, sequences):
    return measure(experiment, measured_batches(experiment, "final", sequences, np.random.default_rng(0)))


def test_a_measurement_weighs_batches_by_their_size(small):
    experiment = read_experiment(small)
    measured = measure_drawn(experiment, 1100)
    rng, distances = np.random.default_rng(0), []
    for size in (1024, 76):
        batch = experiment.task.sample(rng, size)
        positions = experiment.model.predict_on_batch(dict(batch.inputs))["tape.position"]
        distances.append(positions[:, -1, 0] - batch.targets)
    distance = np.concatenate(distances)
    np.testing.assert_allclose(measured.loss, np.mean(distance**2), rtol=1e-5)
    assert measured.accuracy == np.mean(np.abs(distance) < 0.5)


def test_a_task_may_have_sequences_of_several_lengths(experiment_of, summing):
    measured = measure_drawn(experiment_of(summing), 50)
    assert np.isfinite(measured.loss)


def test_a_task_that_returns_inputs_only_causes_no_warning(experiment_of, summing):
    class OfInputsOnly(summing):
        def feed(self, inputs, lengths):
            return {"inputs": np.nan_to_num(inputs)}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure_drawn(experiment_of(OfInputsOnly), 8)


@pytest.mark.parametrize(("timesteps", "rows"), [(1, 1024), (128, 1024), (129, 512), (500, 256), (10**6, 1)])
def test_longer_sequences_are_measured_fewer_at_a_time(timesteps, rows):
    assert rows_at_once(timesteps) == rows


def summing_with(experiment_of, summing, metric):
    return attrs.evolve(experiment_of(summing), metrics={"bits": metric})


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            lambda targets, _: 1 / 0,
            "'bits' cannot be computed on 8 test sequences: ZeroDivisionError: division",
        ),
        (lambda targets, _: np.zeros(3), r"'bits' must be 8 numbers, .*: float64 of shape \(3,\); correct"),
        (lambda targets, _: 0.5, r"'bits' must be 8 numbers, .*: float64 of shape \(\)"),
        (lambda targets, _: np.array(["a"] * 8), r"'bits' must be 8 numbers, .*: <U1 of shape \(8,\)"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(experiment_of, summing, metric, message):
    with pytest.raises(ConfigError, match=f"the metric {message}"):
        measure_drawn(summing_with(experiment_of, summing, metric), 8)


def test_a_metric_that_is_not_finite_on_one_sequence_is_not_finite(experiment_of, summing):
    def metric(targets, results):
        return np.where(np.arange(len(targets)) == 3, np.nan, 1.0)

    measured = measure_drawn(summing_with(experiment_of, summing, metric), 8)
    assert np.isnan(measured.metrics["bits"])
    assert np.isfinite(measured.loss)


def test_an_accuracy_that_is_not_finite_is_never_the_best(experiment_of, summing):
    class NotFinite(summing):
        def correct(self, targets, results):
            return np.full(len(targets), np.nan)

    with pytest.raises(TrainingError, match="not finite on test sequences: the task's correct"):
        measure_drawn(experiment_of(NotFinite), 8)
