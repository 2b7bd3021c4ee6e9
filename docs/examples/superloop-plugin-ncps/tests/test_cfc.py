"""The cell is the one of ncps, in a superloop."""

import keras
import numpy as np
import pytest
from ncps.keras import CfCCell

from superloop_core import Superloop


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_a_loop_of_the_cell_gives_what_keras_gives_of_it(mode):
    config = {"inputs": 3, "cells": [{"use": "cfc", "units": 4, "mode": mode, "backbone_units": 8}]}
    loop = Superloop(config)
    inputs = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    answer = loop(inputs)
    layer = keras.layers.RNN(
        CfCCell(4, mode=mode, backbone_units=8, backbone_dropout=0.0), return_sequences=True
    )
    layer(inputs)
    layer.set_weights(loop.get_weights())
    np.testing.assert_allclose(answer, layer(inputs), rtol=1e-5, atol=1e-6)
