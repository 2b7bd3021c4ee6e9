"""What is right, by hand."""

import numpy as np

from superloop_plugin_my_task import MyTaskConfig
from superloop_plugin_my_task.my_task import MyTask


def test_the_target_is_the_first_bit_and_a_logit_of_its_sign_is_right():
    task = MyTask(MyTaskConfig(length=5))
    batch = task.sample(np.random.default_rng(0), 16)
    np.testing.assert_array_equal(batch.targets, batch.inputs["inputs"][:, 0, 0])
    outputs = np.zeros((16, 5, 1), "float32")
    outputs[:, -1, 0] = 4 * batch.targets - 2
    assert np.all(task.correct(batch.targets, {"outputs": outputs}))
    assert float(task.loss(batch.targets, {"outputs": outputs})) < 0.2
    assert not np.any(task.correct(batch.targets, {"outputs": -outputs}))
