import attrs
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from superloop_plugin_lab.compatibility import check_parts
from superloop_plugin_lab.distributed import ALONE, Cluster, Workers, parts_of
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.step import compiled_step, new_optimizer

from superloop_core import ConfigError, Superloop
from superloop_core.builder import rows_from

COPY = {
    "loop": {"inputs": 3, "outputs": 2, "cells": [{"use": "gru", "units": 4, "dropout": 0.5}]},
    "task": {"use": "copy", "length": 3, "width": 2},
    "train": {"optimizer": "sgd", "learning_rate": 0.5, "xla": False, "evaluate_on": 8},
}


def worker(index, count):
    addresses = [f"localhost:{port}" for port in range(count)]
    return Workers(cluster=Cluster(jobs={"worker": addresses}, job="worker", task=index, source="a test"))


@given(rows=st.integers(1, 40), count=st.integers(1, 7), size=st.integers(1, 40))
def test_the_parts_of_all_workers_are_the_batch(rows, count, size):
    targets = np.arange(rows)
    parts = [
        part
        for index in range(count)
        for part in parts_of({"x": targets}, targets, worker(index, count), size=size, weight=np.size)
    ]
    counted = [part for part in parts if part.rows > 0]
    assert sorted(np.concatenate([part.targets for part in counted])) == list(targets)
    assert all(np.array_equal(part.targets, part.inputs["x"]) for part in parts)
    assert sum(float(part.weight) for part in parts) == pytest.approx(1)
    assert sum(float(part.rows) for part in parts) == pytest.approx(1)
    for part in counted:
        assert part.targets[0] % size == part.first_row
    assert len(parts) == count * -(-rows // size)  # each takes part in every sum, with a row at least


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_sum_of_all_workers_steps_is_that_of_one_process(count, accumulate, monkeypatch):
    """With dropout, and a loss that is the mean over the targets of sequences of different lengths."""
    config = COPY | {"train": COPY["train"] | {"batch_size": 5, "accumulate": accumulate}}
    experiment = read_experiment(config)
    batch = experiment.training_batch(experiment.generator("train"), 1)
    before = [np.array(variable) for variable in experiment.model.variables]

    def step_of(workers):
        for variable, value in zip(experiment.model.variables, before, strict=True):
            variable.assign(value)
        step = compiled_step(experiment, new_optimizer(experiment), workers)
        figures = [float(figure) for figure in step(dict(batch.inputs), batch.targets)]
        return figures, experiment.model.get_weights()

    whole, weights = step_of(ALONE)
    with monkeypatch.context() as patched:
        patched.setattr(Workers, "_all_reduce", lambda workers, vector: vector)
        moved = [step_of(worker(index, count)) for index in range(count)]
    for at, figure in ((0, "loss"), (1, "accuracy")):
        assert sum(figures[at] for figures, _ in moved) == pytest.approx(whole[at], rel=1e-6), figure
    start = [value for value in before if value.dtype.kind == "f"]
    for index, (first, last) in enumerate(zip(start, weights, strict=True)):
        total = sum(of_worker[index] - first for _, of_worker in moved)  # SGD: of the gradients
        np.testing.assert_allclose(total, last - first, rtol=1e-4, atol=1e-6)


def test_noise_is_that_of_the_rows_of_the_whole_batch():
    loop = Superloop(COPY["loop"])
    inputs = np.random.default_rng(0).normal(size=(6, 5, 3)).astype("float32")
    loop(inputs)
    (seed,) = [variable for variable in loop.variables if "int" in variable.dtype]
    state = np.array(seed)

    def run(rows, first):
        seed.assign(state)
        with rows_from(first):
            return loop(inputs[rows], training=True).numpy()

    whole = run(slice(None), 0)
    np.testing.assert_allclose(run(slice(2, 6), 2), whole[2:], atol=1e-6)
    np.testing.assert_allclose(run(slice(2, 6), tf.constant(2)), whole[2:], atol=1e-6)
    assert np.abs(run(slice(2, 6), 0) - whole[2:]).max() > 1e-3


def test_a_task_whose_loss_is_not_that_of_its_parts_is_refused():
    experiment = read_experiment(COPY | {"task": {"use": "copy", "length": 9, "width": 2}})
    batch = experiment.task.sample(np.random.default_rng(0), 4)
    check_parts(experiment.task, batch, experiment.model)

    @attrs.frozen
    class Unweighted:
        loss = staticmethod(experiment.task.loss)

    with pytest.raises(ConfigError, match=r"cannot be trained by many workers: its loss of 4.*'weight"):
        check_parts(Unweighted(), batch, experiment.model)
