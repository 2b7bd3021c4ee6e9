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


@pytest.mark.parametrize("settings", [["optimizer=adam"], ["optimizer=sgd", "schedule=linear"]])
def test_a_step_changes_the_weights(small, settings):
    experiment = read_experiment(small, [f"train.{setting}" for setting in settings])
    before = experiment.model.get_weights()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    loss, accuracy, finite, _ = step_of(experiment)(dict(batch.inputs), batch.targets)
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


OF_A_PACKAGE = """
import keras

@keras.saving.register_keras_serializable("halves")
class Halved(keras.optimizers.SGD):
    pass
"""
ALLOWING = """
from superloop_core import hookimpl

@hookimpl
def superloop_keras_packages():
    return {"halves": "halves_optimizers"}
"""


def test_an_optimizer_of_an_installed_package_is_imported_where_a_plugin_allows_it(small, tmp_plugin):
    tmp_plugin(
        "superloop-plugin-halves",
        {"superloop_plugin_halves": ALLOWING, "halves_optimizers": OF_A_PACKAGE},
        entry_points={"halves": "superloop_plugin_halves"},
    )
    try:
        experiment = read_experiment(small, ["train.optimizer=halves>Halved"], to_train=True)
        assert type(new_optimizer(experiment)).__name__ == "Halved"
    finally:
        keras.saving.get_custom_objects().pop("halves>Halved", None)


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


def test_a_gradient_is_cut_by_value_before_its_norm_is_clipped(small):
    settings = ["optimizer=sgd", "schedule=constant", "learning_rate=0.5", "clip_norm=0", "clip_value=0.01"]
    experiment = read_experiment(small, [f"train.{setting}" for setting in settings])
    before = experiment.model.get_weights()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    step_of(experiment)(dict(batch.inputs), batch.targets)
    moved = np.concatenate(
        [(new - old).ravel() for new, old in zip(experiment.model.get_weights(), before, strict=True)]
    )
    assert np.abs(moved).max() == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert len({*np.round(np.abs(moved), 4)}) > 2  # smaller ones are as they were


SGD = ["train.optimizer=sgd", "train.schedule=constant", "train.learning_rate=0.1"]


@pytest.mark.parametrize("clip", ["train.clip_norm=0", "train.clip_norm=0.05"])
def test_four_batches_of_eight_are_one_step_of_thirty_two(small, clip):
    results = []
    for sizes in (["train.batch_size=32"], ["train.batch_size=8", "train.accumulate=4"]):
        experiment = read_experiment(small, [*SGD, clip, *sizes])
        step, rng, figures = step_of(experiment), experiment.generator("train"), []
        for number in (1, 2):
            batch = experiment.training_batch(rng, number)
            figures += map(float, step(dict(batch.inputs), batch.targets))
        results.append([np.array(figures), *experiment.model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_a_batch_that_is_not_finite_among_others_changes_no_weight(small):
    experiment = read_experiment(small, [*SGD, "train.accumulate=2"])
    before, step = experiment.model.get_weights(), step_of(experiment)
    batch = experiment.training_batch(experiment.generator("train"), 1)
    batch.inputs["tape_data"][1] = np.nan
    assert not step(dict(batch.inputs), batch.targets)[2]
    for one, other in zip(before, experiment.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_averages_of_weights_are_those_of_the_steps(small):
    experiment = read_experiment(small, [*SGD, "train.ema=0.75"])
    optimizer = new_optimizer(experiment)
    step, weights, average = compiled_step(experiment, optimizer), experiment.model.trainable_variables, None
    for number in range(3):
        batch = experiment.task.sample(np.random.default_rng(number), 8)
        step(dict(batch.inputs), batch.targets)
        values = [np.array(weight) for weight in weights]
        average = (
            values if average is None else [0.75 * a + 0.25 * v for a, v in zip(average, values, strict=True)]
        )
    optimizer.finalize_variable_values(weights)
    for one, other in zip(weights, average, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_half_precision_takes_nearly_the_step_of_full_precision(small):
    moved, weights = {}, read_experiment(small).model.get_weights()
    for dtype in ("float32", "mixed_float16", "mixed_bfloat16", "float64"):
        experiment = read_experiment(small, [*SGD, f"train.dtype={dtype}", "train.clip_norm=0.5"])
        experiment.model.set_weights(weights)
        optimizer = new_optimizer(experiment)
        if dtype == "mixed_float16":
            optimizer.dynamic_scale.assign(64.0)  # at 32,768 the first gradient overflows
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        loss, _, finite, _ = compiled_step(experiment, optimizer)(dict(batch.inputs), batch.targets)
        assert finite
        assert loss.dtype == "float32"
        moved[dtype] = np.concatenate(
            [(new - old).ravel() for new, old in zip(experiment.model.get_weights(), weights, strict=True)]
        )
    largest = np.abs(moved["float32"]).max()
    for dtype, tolerance in (("mixed_float16", 1e-2), ("mixed_bfloat16", 5e-2), ("float64", 1e-5)):
        np.testing.assert_allclose(moved[dtype], moved["float32"], rtol=0, atol=tolerance * largest)


def test_a_scaled_gradient_that_overflows_halves_the_scale_until_it_is_below_1(small):
    experiment = read_experiment(small, [*SGD, "train.dtype=mixed_float16", "train.clip_value=0.5"])
    optimizer = new_optimizer(experiment)
    step, before = compiled_step(experiment, optimizer), experiment.model.get_weights()
    batch = experiment.task.sample(np.random.default_rng(0), 8)
    optimizer.dynamic_scale.assign(2.0**100)
    assert step(dict(batch.inputs), batch.targets)[2]
    assert float(optimizer.dynamic_scale) == 2.0**99
    assert int(optimizer.iterations) == 0
    for one, other in zip(before, experiment.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    optimizer.dynamic_scale.assign(0.75)
    assert not step(dict(batch.inputs), batch.targets)[2]


@pytest.mark.slow
def test_the_step_compiled_with_xla_takes_the_same_step(small):
    results = []
    for xla in ("true", "false"):
        experiment = read_experiment(small, [f"train.xla={xla}"])
        batch = experiment.task.sample(np.random.default_rng(0), 8)
        loss, *_ = step_of(experiment)(dict(batch.inputs), batch.targets)
        results.append([float(loss), *experiment.model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.release
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
    loss, _, finite, _ = step_of(experiment)(dict(batch.inputs), batch.targets)
    assert finite
    moved = weight.numpy() - plain - of_task  # by the regularizer: 0.001 * 2 * 50 of the weight
    np.testing.assert_allclose(moved, -0.1 * plain, rtol=0.05, atol=1e-3)
    np.testing.assert_allclose(loss, expected, rtol=0.05)
