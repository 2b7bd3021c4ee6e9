import numpy as np
import pytest


@pytest.fixture
def stack_loop():
    """The config of a loop with a stack, which needs nothing but inputs."""

    def make(**settings):
        return {
            "inputs": 2,
            "outputs": 3,
            "cells": [{"use": "lstm", "units": 4}],
            "systems": [{"use": "stack", "id": "memo", "depth": 4, "width": 2}],
        } | settings

    return make


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
