"""``fit`` on two devices of one machine: two logical CPUs, in a process of its own; and what does nothing."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from superloop_core import Superloop

PROGRAM = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras

from superloop_core import Superloop

CONFIG = {
    "inputs": 3,
    "outputs": 4,
    "cells": [{"use": "lstm", "units": 4}],
    "systems": [{"id": "memo", "use": "ntm", "slots": 6, "width": 4}],
}


def trained(scope):
    keras.utils.set_random_seed(0)
    with scope:
        inputs = keras.Input((5, 3))
        outputs = keras.layers.Dense(1)(Superloop(CONFIG)(inputs)[:, -1])
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.1), "mse")
    numbers = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
    losses = model.fit(numbers, numbers.sum((1, 2)), batch_size=4, epochs=2, shuffle=False, verbose=0)
    return losses.history["loss"], model.get_weights()


one = trained(tf.distribute.get_strategy().scope())
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope())
for mine, theirs in zip(one, two, strict=True):
    for value, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)
print("equal")
"""


@pytest.mark.release
def test_fit_on_two_devices_gives_what_it_gives_on_one():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_a_distribution_of_keras_is_said_to_do_nothing():
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"]))
    try:
        with pytest.warns(UserWarning, match=r"keras\.distribution does nothing on TensorFlow.*distributed"):
            Superloop({"inputs": 2, "cells": [{"use": "gru", "units": 3}]})(np.zeros((1, 2, 2)))
    finally:
        keras.distribution.set_distribution(before)
