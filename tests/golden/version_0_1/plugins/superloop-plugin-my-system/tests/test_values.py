"""Worked values: what the equations give by hand."""

import numpy as np
from superloop_core import Sequence

from superloop_plugin_my_system import MySystemConfig
from superloop_plugin_my_system.my_system import MySystem


def test_what_is_written_is_read_at_once_and_can_be_erased():
    system = MySystem(MySystemConfig(width=2))
    sequence = Sequence(batch_size=1, timesteps=2, lengths=np.array([2]), dtype="float32")
    state = system.initial_state(sequence)
    write, erase = [[-50.0, 50.0, 0.5, -1.0]], [[50.0, -50.0, 3.0, 3.0]]
    read, state, _ = system.step(np.array(write, "float32"), state, None)
    np.testing.assert_allclose(read, np.tanh([[0.5, -1.0]]), rtol=1e-5)
    read, state, _ = system.step(np.array(erase, "float32"), state, None)
    np.testing.assert_allclose(read, [[0, 0]], atol=1e-5)
