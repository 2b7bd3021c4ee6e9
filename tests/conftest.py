from collections.abc import Mapping

import numpy as np
import pytest

GOLDEN_ERRORS = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[GOLDEN_ERRORS] = []


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # of pytest-xdist: one of several processes
        session.config.workeroutput["golden_errors"] = session.config.stash[GOLDEN_ERRORS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[GOLDEN_ERRORS].extend(getattr(node, "workeroutput", {}).get("golden_errors", ()))


def pytest_terminal_summary(terminalreporter, config):
    if errors := config.stash[GOLDEN_ERRORS]:
        terminalreporter.write_line(f"golden cases: largest error {max(errors):.1e} of {len(errors)} answers")


@pytest.fixture
def golden_errors(request):
    """A list that takes the error of each golden answer; the largest is printed at the end of the run."""
    return request.config.stash[GOLDEN_ERRORS]


@pytest.fixture
def no_local_plugins(monkeypatch):
    """Plugins of this process are forgotten before and after a test."""
    from superloop_core.registry import registry, registry_in_use

    monkeypatch.setattr(registry, "_local", {})
    with registry_in_use(None):
        yield


@pytest.fixture
def make_loop():
    """Makes small loop configs: cells and systems by name, and whatever else ``[loop]`` takes."""
    kinds = {
        "tape": {"use": "attention", "width": 2, "datapoints": 4},
        "scratch": {"use": "register_memory", "depth": 3, "width": 2},
    }

    def make(*systems, cells=("lstm",), **settings):
        return {
            "inputs": 2,
            "outputs": 2,
            "cells": [{"use": cell, "units": 3} if isinstance(cell, str) else cell for cell in cells],
            "systems": [
                {"id": system, **kinds[system]} if isinstance(system, str) else system for system in systems
            ],
        } | settings

    return make


@pytest.fixture
def make_feed():
    """Draws everything that a layer must be called with."""

    def make(layer, batch=3, timesteps=4, seed=0):
        rng = np.random.default_rng(seed)
        dtype = "float64" if layer.dtype_policy.variable_dtype == "float64" else "float32"
        return {
            name: rng.normal(size=(batch, *(timesteps if size is None else size for size in shape))).astype(
                dtype
            )
            for name, shape in layer.input_shapes.items()
        }

    return make


@pytest.fixture
def made(make_feed):
    """Makes a Superloop and something to feed it, and draws all of its weights, biases too."""
    from superloop_core import Superloop

    def make(config, *, batch=3, timesteps=4, seed=0, like=None, **settings):
        layer = Superloop(config, **settings)
        feed = make_feed(layer, batch, timesteps, seed)
        layer(feed)
        if like is not None:
            layer.set_weights(like.get_weights())
        else:
            rng = np.random.default_rng(seed + 1)
            layer.set_weights([rng.normal(scale=0.5, size=weight.shape) for weight in layer.weights])
        return layer, feed

    return make


@pytest.fixture
def unrolled():
    """Unrolls a layer's wiring, to reach the final state, which the layer keeps to itself."""
    import tensorflow as tf

    from superloop_core import Sequence
    from superloop_core.loop.trace_selection import ALL
    from superloop_core.loop.unroll import Unroll

    def run(layer, feed, *, mask=None, static=False, traces=ALL):
        feed = {name: tf.convert_to_tensor(value) for name, value in feed.items()}
        inputs = feed.get("inputs")
        batch = next(iter(feed.values())).shape[0]
        timesteps = layer.config.timesteps if inputs is None else inputs.shape[1]
        lengths = np.full(batch, timesteps) if mask is None else np.sum(mask, axis=1)
        sequence = Sequence(
            batch_size=batch,
            timesteps=timesteps,
            lengths=tf.constant(lengths, tf.int32),
            dtype=layer.compute_dtype,
            sources={name: feed[name] for name in layer.config.sources},
        )
        state = layer.wiring.initial_state(sequence)
        return Unroll(layer.wiring, static=static, traces=traces)(inputs, sequence, state, mask=mask)

    return run


@pytest.fixture
def assert_close():
    """Compares two structures of tensors, leaf by leaf."""

    def compare(actual, expected, tolerance=1e-5, at=""):
        if isinstance(expected, Mapping):
            assert actual.keys() == expected.keys(), at
            for name in expected:
                compare(actual[name], expected[name], tolerance, f"{at}/{name}")
        elif isinstance(expected, tuple | list):
            assert len(actual) == len(expected), at
            for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
                compare(one, other, tolerance, f"{at}/{index}")
        else:
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=at)

    return compare
