"""Worked values: what the equations give by hand."""

import numpy as np

from superloop_plugin_my_cell.my_cell import MyCellCell


def test_an_open_gate_keeps_the_hidden_state_and_a_closed_one_replaces_it():
    cell = MyCellCell(1)
    cell.build((None, 1))
    inputs, h = np.array([[2.0]], "float32"), np.array([[0.5]], "float32")
    for bias, expected in ((50.0, 0.5), (-50.0, np.tanh(2.0))):
        cell.kernel.assign([[0.0, 1.0], [0.0, 0.0]])
        cell.bias.assign([bias, 0.0])
        output, state = cell(inputs, [h])
        np.testing.assert_allclose(output, [[expected]], rtol=1e-5)
        np.testing.assert_allclose(state[0], output)
