import keras
import numpy as np
import pytest
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.feeding import measured_batches
from superloop_plugin_lab.measurement import measure
from superloop_plugin_lab.step import compiled_step, new_optimizer

from superloop_core import ConfigError
from superloop_core.loop.unroll import Unroll


def step_of(experiment):
    return compiled_step(experiment, new_optimizer(experiment))


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


def test_an_optimizer_may_be_a_registered_class(small):
    @keras.saving.register_keras_serializable("mine")
    class Halved(keras.optimizers.SGD):
        def __init__(self, learning_rate):
            super().__init__(learning_rate, momentum=0.5)

    try:
        experiment = read_experiment(small, ["train.optimizer=mine>Halved"], to_train=True)
        optimizer = new_optimizer(experiment)
        assert type(optimizer) is Halved
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        assert compiled_step(experiment, optimizer)(dict(batch.inputs), batch.targets)[2]
    finally:
        del keras.saving.get_custom_objects()["mine>Halved"]
    assert read_experiment(small, ["train.optimizer=mine>Halved"])  # to measure needs no optimizer
    for name in ("mine>Halved", "builtins>object"):
        with pytest.raises(ConfigError, match=f"train: 'optimizer' must be .* in this process: '{name}'"):
            read_experiment(small, [f"train.optimizer={name}"], to_train=True)


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

    def recorded(self, *arguments, jit_compile=False, **others):
        compiled.append(jit_compile)
        return call(self, *arguments, jit_compile=jit_compile, **others)

    monkeypatch.setattr(Unroll, "__call__", recorded)
    results = []
    for xla in ("true", "false"):
        compiled.clear()
        experiment = read_experiment(echo, [f"train.xla={xla}", "loop.timesteps=0"])
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        loss, *_ = step_of(experiment)(dict(batch.inputs), batch.targets)
        measured = measure(experiment, measured_batches(experiment, "final", 8))
        assert set(compiled) == {xla == "true"}
        results.append([float(loss), measured.loss, *experiment.model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_losses_of_the_model_are_added_to_the_task_s_and_reported_apart(small):
    given = ["train.optimizer=sgd", "train.schedule=constant", "train.learning_rate=0.001"]
    experiment = read_experiment(small, [*given, "train.clip_norm=1e9"])
    weight = experiment.model.trainable_variables[0]
    plain = weight.numpy()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    expected = step_of(experiment)(dict(batch.inputs), batch.targets)[0]
    of_task = weight.numpy() - plain
    weight.assign(plain)
    weight.regularizer = keras.regularizers.L2(50.0)
    loss, _, finite = step_of(experiment)(dict(batch.inputs), batch.targets)
    assert finite
    moved = weight.numpy() - plain - of_task  # by the regularizer: 0.001 * 2 * 50 of the weight
    np.testing.assert_allclose(moved, -0.1 * plain, rtol=0.05, atol=1e-3)
    np.testing.assert_allclose(loss, expected, rtol=0.05)
