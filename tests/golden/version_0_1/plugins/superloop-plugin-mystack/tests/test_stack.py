import numpy as np
import pytest
from superloop_core import Superloop
from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("mystack"), ids=str)
def test_conformance(check):
    check()


def test_the_read_is_the_top_of_the_stack():
    loop = Superloop(
        {"inputs": 2, "cells": [{"use": "gru", "units": 4}], "systems": [{"use": "mystack", "depth": 3}]},
        traces=["mystack.cells", "mystack.read"],
    )
    traces = loop(np.ones((5, 7, 2), "float32"))
    np.testing.assert_allclose(traces["mystack.read"], traces["mystack.cells"][:, :, 0], rtol=1e-6)
