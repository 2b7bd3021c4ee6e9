import warnings

import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_lab.experiment import measure, read_experiment
from superloop_plugin_tasks import LastTwoBeforeNineConfig

from superloop_core import Batch, ConfigError, TaskSpec


class Summing:
    """Sequences of several lengths, whose sum is the target."""

    traces = ()

    def __init__(self, config):
        del config

    def sample(self, rng, batch_size):
        lengths = rng.integers(1, 6, batch_size).astype("int32")
        inputs = rng.normal(size=(batch_size, 5, 1)).astype("float32")
        inputs[np.arange(5) >= lengths[:, None]] = np.nan  # nobody may read it
        return Batch(inputs=self.given(inputs, lengths), targets=np.nansum(inputs, axis=1))

    def given(self, inputs, lengths):
        return {"inputs": inputs, "lengths": lengths}

    def loss(self, targets, results):
        return tf.reduce_mean((results["outputs"][:, -1] - targets) ** 2)

    def correct(self, targets, results):
        return tf.abs(results["outputs"][:, -1, 0] - targets[:, 0]) < 0.1


class OfInputsOnly(Summing):
    def given(self, inputs, lengths):
        return {"inputs": np.nan_to_num(inputs)}


class Failing(Summing):
    def loss(self, targets, results):
        return tf.matmul(results["outputs"], targets)

    def correct(self, targets, results):
        return tf.constant(True)


LOOP = {"inputs": 1, "outputs": 1, "cells": [{"use": "gru", "units": 4}]}


@pytest.fixture
def experiment_of(monkeypatch):
    """Reads an experiment whose task is of a class of this file."""

    def make(task):
        create = TaskSpec.create
        monkeypatch.setattr(
            TaskSpec,
            "create",
            lambda spec, settings: task(settings) if spec.kind == "task" else create(spec, settings),
        )
        table = {"use": "last_two_before_nine", "length": 4}
        assert LastTwoBeforeNineConfig(length=4)
        return read_experiment({"loop": LOOP, "task": table, "train": {"xla": False}})

    return make


def test_a_task_may_have_sequences_of_several_lengths(experiment_of):
    measured = measure(experiment_of(Summing), np.random.default_rng(0), 50)
    assert np.isfinite(measured.loss)


def test_a_task_that_gives_inputs_only_draws_no_warning(experiment_of):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(experiment_of(OfInputsOnly), np.random.default_rng(0), 8)


def test_a_task_that_can_make_nothing_of_the_outputs_is_refused_at_once(experiment_of):
    with pytest.raises(ConfigError) as refused:
        experiment_of(Failing)
    loss, correct = map(str, refused.value.problems)
    assert loss.startswith("task: its loss cannot be computed of outputs (2, 5, 1) (of 2 sequences): ")
    assert correct == "task: its correct of 2 sequences must have the shape (2): ()"
