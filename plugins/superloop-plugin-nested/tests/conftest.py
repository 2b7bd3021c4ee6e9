import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

from superloop_core import Superloop


@pytest.fixture
def made():
    """Make a Superloop with random weights, and a feed for it."""

    def make(config, *, like=None, **settings):
        layer = Superloop(config, **settings)
        rng = np.random.default_rng(0)
        feed = {
            name: rng.normal(size=(3, *(4 if size is None else size for size in shape))).astype("float32")
            for name, shape in layer.input_shapes.items()
        }
        layer(feed)
        drawn = [rng.normal(scale=0.5, size=weight.shape) for weight in layer.weights]
        layer.set_weights(drawn if like is None else like.get_weights())
        return layer, feed

    return make


@pytest.fixture
def assert_close():
    def compare(actual, expected, at=""):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5, err_msg=at)

    return compare
