import keras
import numpy as np
import pytest
from superloop_plugin_lab.diagnosis import find_not_finite
from superloop_plugin_lab.experiment import read_experiment


@pytest.fixture
def experiment(small):
    return read_experiment(small)


@pytest.fixture
def batch(experiment):
    return experiment.task.sample(np.random.default_rng(0), 3)


def found(experiment, batch, task=None):
    return find_not_finite(experiment.network, task or experiment.task, batch)


class WithLoss:
    """A task with another loss."""

    def __init__(self, loss):
        self._loss = loss

    def loss(self, targets, results):
        return self._loss(results["tape.position"])


def test_sequences_that_are_not_finite_come_first(experiment, batch):
    batch.inputs["tape_data"][0, 0, 0] = np.inf
    assert found(experiment, batch) == "the task's tape_data"


def test_a_trace_is_named_with_the_timestep_at_which_it_is_first_not_finite(experiment, batch):
    *others, bias = experiment.model.get_weights()
    experiment.model.set_weights([*others, np.full_like(bias, np.inf)])
    assert bias.shape == (1,)  # of the control
    assert found(experiment, batch) == "tape.control, tape.weights at timestep 0"


def test_a_loss_that_is_not_finite_is_named_if_every_trace_is_finite(experiment, batch):
    task = WithLoss(lambda position: keras.ops.log(keras.ops.sum(position) * 0 - 1))
    assert found(experiment, batch, task) == "the loss"


def test_a_gradient_that_is_not_finite_is_named_after_its_weights(experiment, batch):
    task = WithLoss(lambda position: keras.ops.sum(keras.ops.sqrt(position * 0)))
    assert found(experiment, batch, task).startswith("the gradient of superloop/")


def test_the_norm_of_all_gradients_is_named_if_each_gradient_is_finite(experiment, batch):
    task = WithLoss(lambda position: keras.ops.sum(position) * 1e30)
    assert found(experiment, batch, task) == "the norm of all gradients"


def test_the_update_is_named_if_all_else_is_finite(experiment, batch):
    assert found(experiment, batch) == "the weights after the update"
