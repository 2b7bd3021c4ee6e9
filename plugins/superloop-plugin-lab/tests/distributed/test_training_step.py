import keras
import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_lab.distributed import ALONE, Cluster, Workers, training_step

from superloop_core import ConfigError, Superloop

LOOP = {"inputs": 3, "outputs": 2, "cells": [{"use": "gru", "units": 4, "dropout": 0.5}]}
INPUTS = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")
TARGETS = INPUTS.sum(axis=(1, 2))[:, None]


def loss(targets, outputs):
    return tf.reduce_mean(tf.square(targets - tf.cast(outputs, "float32")))


def model_of(*layers):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 3))
    tensor = inputs
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(tensor)))


@pytest.fixture
def worker(monkeypatch):
    """One of two workers, whose sums are its own numbers."""
    monkeypatch.setattr(Workers, "_all_reduce", lambda workers, vector: vector)
    monkeypatch.setattr(Workers, "share", lambda workers, variables: None)

    def worker(index):
        jobs = {"worker": ["localhost:1", "localhost:2"]}
        return Workers(cluster=Cluster(jobs=jobs, job="worker", task=index, source="a test"))

    return worker


def test_the_parts_of_two_workers_add_up_to_the_step_of_one(worker):
    moved, losses = [], []
    for workers in (ALONE, worker(0), worker(1)):
        keras.utils.set_random_seed(1)
        model = model_of(Superloop(LOOP))
        before = model.get_weights()
        step = training_step(model, loss, keras.optimizers.SGD(0.1), workers)
        losses.append(step(INPUTS, TARGETS))
        moved.append([now - old for now, old in zip(model.get_weights(), before, strict=True)])
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-6)
    for whole, *parts in zip(*moved, strict=True):
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-4, atol=1e-6)


def test_dropout_of_keras_is_another_on_each_worker(worker):
    drawn = []
    for index in range(2):
        dropout = keras.layers.Dropout(0.5)
        model = model_of(dropout)
        training_step(model, loss, keras.optimizers.SGD(0.1), worker(index))
        drawn.append(dropout(tf.ones((4, 100)), training=True).numpy())
    assert (drawn[0] != drawn[1]).any()


def test_batch_normalization_is_refused_on_many_workers_and_not_on_one(worker):
    def step_of(workers):
        model = model_of(keras.layers.BatchNormalization())
        return training_step(model, loss, keras.optimizers.SGD(0.1), workers)

    assert step_of(ALONE)(INPUTS, TARGETS) > 0
    with pytest.raises(
        ConfigError, match=r"batch_normalization.*changes with each batch and has no gradient"
    ):
        step_of(worker(0))(INPUTS, TARGETS)


def test_a_scaled_loss_moves_weights_as_one_that_is_not():
    moved = []
    for wrap in (lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer):
        model = model_of()
        before = model.get_weights()
        training_step(model, loss, wrap(keras.optimizers.SGD(0.1)), ALONE)(INPUTS, TARGETS)
        moved.append([now - old for now, old in zip(model.get_weights(), before, strict=True)])
    for one, other in zip(*moved, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)
